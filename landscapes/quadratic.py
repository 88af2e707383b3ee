"""Quadratic landscape with anisotropic gradient noise."""

from collections.abc import Sequence

import sympy
import torch
from torch import Tensor

from .errors import InputError
from .formula import decimal
from .landscape import Landscape

__all__ = ["Quadratic"]


class Quadratic(Landscape):
    """``f_m(x) = 1/2 (x - c_m)^T A (x - c_m)``: Hessian ``A`` and gradient noise of covariance ``A Cov(c) A``.

    The mean loss has gradient ``A (x - E c)``; every derivative is known in closed form.

    Args:
        hessian: symmetric ``A``, shape ``(d, d)``.
        centres: minima ``c_m`` of the members, shape ``(M, d)``.

    Raises:
        InputError: shapes do not fit or ``A`` is not symmetric.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic([[3.0, 0.0], [0.0, 1.0]], centres=[[0.0, 0.0]])
        >>> f.loss(torch.tensor([1.0, 1.0], dtype=torch.float64)).item()
        2.0
    """

    def __init__(self, hessian: Tensor | Sequence[Sequence[float]], centres: Tensor | Sequence[Sequence[float]]):
        self.hessian = torch.as_tensor(hessian).to(torch.float64)
        self.centres = torch.as_tensor(centres).to(self.hessian)
        d = self.hessian.shape[-1]
        if self.hessian.shape != (d, d) or not torch.allclose(self.hessian, self.hessian.mT):
            raise InputError(
                f"hessian of shape {tuple(self.hessian.shape)} is not a symmetric (d, d) matrix; give (A + A.T) / 2"
            )
        if self.centres.ndim != 2 or self.centres.shape[1] != d:
            raise InputError(f"centres has shape {tuple(self.centres.shape)}; expected (M, {d})")
        super().__init__(d, len(self.centres), self.hessian.dtype, self.hessian.device)

    def formulas(self, x: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
        """See :meth:`Landscape.formulas`."""
        hessian = sympy.Matrix(self.dim, self.dim, lambda i, j: decimal(self.hessian[i, j].item()))
        result = []
        for centre in self.centres.tolist():
            offset = sympy.Matrix([xi - decimal(ci) for xi, ci in zip(x, centre, strict=True)])
            result.append((offset.T * hessian * offset)[0] / 2)
        return result

    def _losses(self, x: Tensor) -> Tensor:
        offset = x - self.centres
        return 0.5 * torch.einsum("...i,ij,...j->...", offset, self.hessian, offset)
