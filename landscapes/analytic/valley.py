"""A non-convex toy: a valley of minima whose sharpness varies along it."""

from collections.abc import Sequence

import sympy
import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape
from .formula import decimal

__all__ = ["Valley"]


class Valley(Landscape):
    """``f_m(x, y) = 1/2 s(x) y^2 + n_m y`` with ``s(x) = sharp - (sharp - flat) exp(-x^2 / 2)`` and ``sum_m n_m = 0``.

    Every ``(x, 0)`` is a minimum of the mean loss, with Hessian ``diag(0, s(x))``: the flattest one, of top
    eigenvalue ``flat``, is at ``x = 0``. Gradient descent stops anywhere on the valley; sharpness-aware methods
    drift along it to the flat end.

    Args:
        noise: gradient offsets ``n_m``, shape ``(M,)``; must sum to zero.
        flat: smallest curvature, at ``x = 0``; positive.
        sharp: curvature far out; larger than ``flat``.

    Raises:
        InputError: offsets that do not sum to zero, or not ``0 < flat < sharp``.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Valley
        >>> f = Valley(flat=1.0, sharp=5.0)
        >>> origin, y = torch.zeros(2, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
        >>> f.hessian_product(origin, y).tolist()
        [0.0, 1.0]
    """

    def __init__(self, noise: Sequence[float] = (-0.3, -0.1, 0.4), flat: float = 1.0, sharp: float = 4.0) -> None:
        self.noise = torch.tensor(noise, dtype=torch.float64)
        if abs(self.noise.sum().item()) > 1e-12 or self.noise.ndim != 1:
            raise InputError(f"noise {noise} does not sum to zero; subtract its mean")
        if not 0 < flat < sharp:
            raise InputError(f"flat = {flat}, sharp = {sharp}: expected 0 < flat < sharp")
        self.flat, self.sharp = flat, sharp
        super().__init__(2, len(noise), self.noise.dtype, self.noise.device)

    def curvature(self, x: Tensor) -> Tensor:
        """Top eigenvalue ``s(x)`` of the Hessian of the mean loss at the minimum ``(x, 0)``."""
        return self.sharp - (self.sharp - self.flat) * torch.exp(-0.5 * x**2)

    def formulas(self, x: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
        """See :meth:`Landscape.formulas`."""
        along, across = x
        flat, sharp = decimal(self.flat), decimal(self.sharp)
        curvature = sharp - (sharp - flat) * sympy.exp(-(along**2) / 2)
        return [curvature * across**2 / 2 + decimal(n) * across for n in self.noise.tolist()]

    def _losses(self, x: Tensor) -> Tensor:
        along, across = x.unbind(-1)
        return 0.5 * self.curvature(along) * across**2 + self.noise * across
