"""The symmetric splitting: half a step of the drift, all of the noise, half a step of the drift."""

from types import MappingProxyType
from typing import final

from torch import Tensor

from ..runge_kutta import timed_runge_kutta_step
from ..scheme import SCHEMES, PointFunctions, Scheme

__all__ = ["Splitting"]


@final
class Splitting(Scheme):
    """Half a step by Runge-Kutta to ``y`` at ``t + h/2``, the kick ``G(t + h/2, y) dw``, another half step.

    The declared orders are those at noise of a fixed size. It is made for small noise: where ``G`` is ``sqrt(eta)``
    times something, the weak error is ``O(h^4 + eta h^2 + eta^2 h)``, so with ``h = eta`` the weak order is 3, for
    noise of any kind.
    """

    calculus = "ito"
    weak_order = MappingProxyType({"additive": 2, "scalar": 1, "diagonal": 1, "commuting": 1, "general": 1})
    strong_order = MappingProxyType({"additive": 1, "scalar": 0.5, "diagonal": 0.5, "commuting": 0.5, "general": 0.5})
    source = "Milstein and Tretyakov 1997, on small noise; Strang 1968"

    def step(self, sde: PointFunctions, t: Tensor, x: Tensor, h: float, dw: Tensor, signs: Tensor) -> Tensor:
        """The drift eight times, the diffusion once, in the middle."""
        middle = timed_runge_kutta_step(sde.drift, t, x, h / 2)
        kicked = middle + sde.diffusion(t + h / 2, middle) @ dw
        result: Tensor = timed_runge_kutta_step(sde.drift, t + h / 2, kicked, h / 2)
        return result


SCHEMES.register("splitting", order=6)(Splitting())
