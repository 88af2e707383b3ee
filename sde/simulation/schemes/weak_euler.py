"""Weak Euler: Euler-Maruyama's step with coin tosses for normal numbers."""

from types import MappingProxyType
from typing import final

from torch import Tensor

from ..euler import euler_step
from ..scheme import SCHEMES, PointFunctions, Scheme

__all__ = ["WeakEuler"]


@final
class WeakEuler(Scheme):
    """``x + h b(t, x) + G(t, x) dw`` with ``dw_j = +- sqrt(h)``.

    The three first moments of a step are those of a normal one, which is all that weak order 1 asks for.
    """

    calculus = "ito"
    increments = "two-point"
    weak_order = MappingProxyType({"additive": 1, "scalar": 1, "diagonal": 1, "commuting": 1, "general": 1})
    source = "Kloeden and Platen 1992, section 14.1: the simplified weak Euler scheme"

    def step(self, sde: PointFunctions, t: Tensor, x: Tensor, h: float, dw: Tensor, signs: Tensor) -> Tensor:
        """Coefficients at the start, once."""
        return euler_step(sde, t, x, h, dw)


SCHEMES.register("weak-euler", order=2)(WeakEuler())
