"""Minutes on two cores: digits and a small network, the items' own sizes."""

from ..preset import PRESETS, Preset

__all__ = ["quick"]


@PRESETS.register("quick", order=1)
def quick() -> Preset:
    """Weak orders, Figures 1 and 2, the k table, power method and decay, Theorem 4.1 and certificates, on digits."""
    from ..items.certificates_along import CertificatesAlong
    from ..items.eigenvector_decay import EigenvectorDecay
    from ..items.figure1 import Figure1
    from ..items.figure2 import Figure2
    from ..items.k_table import KTable
    from ..items.power_convergence import PowerConvergence
    from ..items.power_example import PowerExample
    from ..items.weak_order import WeakOrder
    from ..measurements.network_comparison import Network

    digits = Network("digits", hidden=(32,), scale=0.7, minibatches=4, batch_size=80, steps=50, seeds=6, looks=10)
    items = {
        "weak_order": WeakOrder(),
        "figure1": Figure1(),
        "figure2": Figure2(digits),
        "k_table": KTable(),
        "certificates_along": CertificatesAlong().with_seeds(1),
        "power_example": PowerExample(),
        "power_convergence": PowerConvergence(),
        "eigenvector_decay": EigenvectorDecay(),
    }
    return Preset("quick", items)
