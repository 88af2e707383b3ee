"""Euler-Maruyama: ``x + h b + G dw``."""

from types import MappingProxyType
from typing import final

from torch import Tensor

from ..euler import euler_step
from ..scheme import SCHEMES, PointFunctions, Scheme

__all__ = ["EulerMaruyama"]


@final
class EulerMaruyama(Scheme):
    """``x + h b(t, x) + G(t, x) dw`` with normal ``dw``."""

    calculus = "ito"
    weak_order = MappingProxyType({"additive": 1, "scalar": 1, "diagonal": 1, "commuting": 1, "general": 1})
    strong_order = MappingProxyType({"additive": 1, "scalar": 0.5, "diagonal": 0.5, "commuting": 0.5, "general": 0.5})
    source = "Maruyama 1955; Kloeden and Platen 1992, (10.2.4) and theorem 14.5.1"

    def step(self, sde: PointFunctions, t: Tensor, x: Tensor, h: float, dw: Tensor, signs: Tensor) -> Tensor:
        """Coefficients at the start, once."""
        return euler_step(sde, t, x, h, dw)


SCHEMES.register("euler-maruyama", order=1)(EulerMaruyama())
