"""Milstein's scheme: Euler-Maruyama and the part of the noise's change along itself that increments determine."""

from types import MappingProxyType
from typing import final

from torch import Tensor

from ..problems.calculus import change_along, noise_along_itself
from ..scheme import SCHEMES, PointFunctions, Scheme

__all__ = ["Milstein"]


@final
class Milstein(Scheme):
    """``x + h b + G dw + 1/2 sum_jk (dG_k G_j) (dw_j dw_k - h delta_jk)``, where ``dG_k`` is column ``k``'s Jacobian.

    For noise that does not commute it would need iterated integrals besides.
    """

    calculus = "ito"
    weak_order = MappingProxyType({"additive": 1, "scalar": 1, "diagonal": 1, "commuting": 1})
    strong_order = MappingProxyType({"additive": 1, "scalar": 1, "diagonal": 1, "commuting": 1})
    source = "Milstein 1974; Kloeden and Platen 1992, section 10.3"

    def step(self, sde: PointFunctions, t: Tensor, x: Tensor, h: float, dw: Tensor, signs: Tensor) -> Tensor:
        """Derivatives are directional: one of all columns, and one of each along itself."""
        kick = sde.diffusion(t, x) @ dw
        change = change_along(sde.diffusion, t, x, kick)
        return x + h * sde.drift(t, x) + kick + (change @ dw - h * noise_along_itself(sde.diffusion, t, x)) / 2


SCHEMES.register("milstein", order=4)(Milstein())
