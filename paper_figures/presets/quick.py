"""Minutes on two cores: digits and a small network, the items' own sizes."""

from ..preset import PRESETS, Preset

__all__ = ["quick"]


@PRESETS.register("quick", order=1)
def quick() -> Preset:
    """Every default of weak orders, Figure 1 and the bound."""
    from ..items.bound_terms import BoundTerms
    from ..items.figure1 import Figure1
    from ..items.weak_order import WeakOrder

    return Preset("quick", {"weak_order": WeakOrder(), "figure1": Figure1(), "bound_terms": BoundTerms()})
