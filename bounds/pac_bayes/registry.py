"""The PAC-Bayes inequalities that there are."""

from typing import TYPE_CHECKING

from ...ground.registry import Registry

if TYPE_CHECKING:
    from .inequality import PacBayesInequality

__all__ = ["PAC_BAYES"]

# The name in two parts: written as one, it would say that every certificate depends on the code of all inequalities.
PAC_BAYES: "Registry[type[PacBayesInequality]]" = Registry("inequality", f"{__package__}.inequalities")
