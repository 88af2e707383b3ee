"""Quadratic landscape with anisotropic gradient noise."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import sympy
import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape, Terms
from .arrays import finite_array
from .formula import decimal

__all__ = ["Quadratic"]


class Quadratic(Landscape):
    """``f_m(x) = 1/2 (x - c_m)^T A_m (x - c_m)``: Hessian ``A_m``, the same for all minibatches or one for each.

    With one ``A`` the mean loss has gradient ``A (x - E c)`` and gradient noise of covariance ``A Cov(c) A``; with one
    for each minibatch the noise depends on ``x`` too (multiplicative noise).

    Args:
        hessian: symmetric ``A``, shape ``(d, d)``, or ``A_m``, shape ``(M, d, d)``; asymmetry by rounding is averaged.
        centres: minima ``c_m`` of the minibatches, shape ``(M, d)``.

    Raises:
        InputError: shapes do not fit, a matrix is not symmetric, or an entry is not finite.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic([[3.0, 0.0], [0.0, 1.0]], centres=[[0.0, 0.0]])
        >>> f.loss(torch.tensor([1.0, 1.0], dtype=torch.float64)).item()
        2.0
        >>> multiplicative = Quadratic([[[1.0]], [[3.0]]], centres=[[0.0], [0.0]])
        >>> multiplicative.gradients(torch.tensor([2.0], dtype=torch.float64)).tolist()
        [[2.0], [6.0]]
    """

    def __init__(
        self,
        hessian: Tensor | Sequence[Sequence[float]] | Sequence[Sequence[Sequence[float]]],
        centres: Tensor | Sequence[Sequence[float]],
    ) -> None:
        given = finite_array("hessian's entries", hessian, ("d", "d"), ("M", "d", "d"))
        self.centres = finite_array("centres", centres, ("M", "d")).to(given.device)
        if given.shape[-1] != given.shape[-2] or not torch.allclose(given, given.mT):
            raise InputError(
                f"hessian of shape {tuple(given.shape)} is not a symmetric (d, d) matrix, or (M, d, d) matrices; "
                f"give (A + A.T) / 2"
            )
        self.hessian = 0.5 * given + 0.5 * given.mT
        d = given.shape[-1]
        if self.centres.shape[1] != d:
            raise InputError(f"centres has shape {tuple(self.centres.shape)}; expected (M, {d})")
        size = len(self.centres)
        if given.ndim == 3 and len(given) != size:
            raise InputError(
                f"{len(given)} matrices in hessian and {size} centres; give one matrix of shape ({d}, {d}) for all "
                f"minibatches or ({size}, {d}, {d})"
            )
        super().__init__(d, size, self.hessian.dtype, self.hessian.device)

    @classmethod
    def random(cls, dim: int, *, size: int = 4, seed: int = 0) -> Self:
        """A Wishart Hessian, mean eigenvalue 1, for all minibatches; standard normal centres; reproducible by seed."""
        if dim < 1 or size < 1 or seed < 0:
            raise InputError(f"dim = {dim}, size = {size}, seed = {seed}; give dim and size >= 1, seed >= 0")
        generator = np.random.default_rng(seed)
        root, centres = generator.standard_normal((dim, dim)), generator.standard_normal((size, dim))
        return cls(torch.from_numpy(root @ root.T / dim), torch.from_numpy(centres))

    def formulas(self, x: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
        """See :meth:`Landscape.formulas`."""
        result = []
        matrices = self.hessian.expand(self.size, self.dim, self.dim)
        for matrix, centre in zip(matrices.tolist(), self.centres.tolist(), strict=True):
            exact = sympy.Matrix([[decimal(entry) for entry in row] for row in matrix])
            offset = sympy.Matrix([xi - decimal(ci) for xi, ci in zip(x, centre, strict=True)])
            result.append((offset.T * exact * offset)[0] / 2)
        return result

    def contracted_gradients(self, x: Tensor, terms: Terms) -> Tensor:
        """See :meth:`Landscape.contracted_gradients`; in closed form, so without autograd."""
        x, terms = self._expanded(x, terms)
        with torch.no_grad():
            total = torch.zeros_like(x, dtype=self.dtype)
            for coefficient, directions in terms:
                c = coefficient[..., None] if isinstance(coefficient, Tensor) else coefficient
                if not directions:
                    total = total + c * (x - self.centres)
                elif len(directions) == 1:  # all further derivatives vanish
                    total = total + c * directions[0]
            return self._times_hessian(total)

    def to_dict(self) -> dict[str, object]:
        """The JSON object that :func:`read_landscape` reads."""
        return {"kind": "quadratic", "hessian": self.hessian.tolist(), "centres": self.centres.tolist()}

    def _times_hessian(self, vectors: Tensor) -> Tensor:
        return torch.einsum("...ij,...j->...i", self.hessian, vectors)

    def _losses(self, x: Tensor) -> Tensor:
        offset = x - self.centres
        return 0.5 * (offset * self._times_hessian(offset)).sum(-1)
