"""Euler's step, whatever the law of the increments."""

from torch import Tensor

from .scheme import PointFunctions

__all__ = ["euler_step"]


def euler_step(sde: PointFunctions, t: Tensor, x: Tensor, h: float, dw: Tensor) -> Tensor:
    """``x + h b(t, x) + G(t, x) dw``, shape ``(d,)``: coefficients at the start, once."""
    return x + h * sde.drift(t, x) + sde.diffusion(t, x) @ dw
