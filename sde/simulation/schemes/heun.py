"""Heun's scheme: the trapezoidal rule for drift and noise, which finds the Stratonovich solution."""

from types import MappingProxyType
from typing import final

from torch import Tensor

from ..scheme import SCHEMES, PointFunctions, Scheme

__all__ = ["Heun"]


@final
class Heun(Scheme):
    """``x + h/2 (b(t, x) + b(t+h, y)) + (G(t, x) + G(t+h, y))/2 dw`` with Euler's ``y = x + h b + G dw``.

    Where the noise is additive this is Platen's scheme of weak order 2, too.
    """

    calculus = "stratonovich"
    weak_order = MappingProxyType({"additive": 2, "scalar": 1, "diagonal": 1, "commuting": 1, "general": 1})
    strong_order = MappingProxyType({"additive": 1, "scalar": 1, "diagonal": 1, "commuting": 1, "general": 0.5})
    source = "Rümelin 1982; for additive noise Kloeden and Platen 1992, section 15.1"

    def step(self, sde: PointFunctions, t: Tensor, x: Tensor, h: float, dw: Tensor, signs: Tensor) -> Tensor:
        """Coefficients at the start and at Euler's end."""
        drift, diffusion = sde.drift(t, x), sde.diffusion(t, x)
        end = x + h * drift + diffusion @ dw
        return x + h / 2 * (drift + sde.drift(t + h, end)) + (diffusion + sde.diffusion(t + h, end)) @ dw / 2


SCHEMES.register("heun", order=3)(Heun())
