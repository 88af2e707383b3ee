"""The covariance of a landscape's minibatch gradients."""

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape
from ..networks.network import NetworkLandscape
from ..spectra.operators import SymmetricOperator

__all__ = ["GradientCovariance"]


class GradientCovariance(SymmetricOperator):
    """``Cov_m(g_m) = (1/M) sum_m (g_m - g)(g_m - g)^T`` over the ``M`` minibatches of a landscape, ``g`` their mean.

    What drives the noise of SGD (theory, section 2). Rank at most ``M - 1``.

    Args:
        landscape: the family of minibatch losses.
        x: where, shape ``(d,)``.
        keep_bytes: the gradients are kept if they need less memory than this; else each product computes them again.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic(torch.eye(2), centres=[[1.0, 0.0], [-1.0, 0.0]])
        >>> covariance = GradientCovariance(f, torch.zeros(2, dtype=torch.float64))
        >>> (covariance @ torch.tensor([3.0, 5.0], dtype=torch.float64)).tolist()
        [3.0, 0.0]
    """

    def __init__(self, landscape: Landscape, x: Tensor, *, keep_bytes: int = 2**30) -> None:
        super().__init__(landscape.dim, landscape.dtype, landscape.device, semidefinite=True)
        if x.shape != (landscape.dim,):
            raise InputError(f"the point has shape {tuple(x.shape)}; expected ({landscape.dim},)")
        if not torch.isfinite(x).all():
            raise InputError("the point holds NaN or infinity; take an earlier one")
        self.landscape, self.x = landscape, x.to(landscape.device, landscape.dtype)
        self._mean = landscape.gradient(self.x)
        needed = landscape.size * landscape.dim * torch.finfo(landscape.dtype).bits // 8
        self._centred = None
        if needed <= keep_bytes or not isinstance(landscape, NetworkLandscape):
            self._centred = landscape.gradients(self.x) - self._mean

    def _product(self, v: Tensor) -> Tensor:
        return self._product_rows(v[None])[0]

    def _product_rows(self, v: Tensor) -> Tensor:
        size = self.landscape.size
        if self._centred is not None:
            return (v @ self._centred.mT) @ self._centred / size
        assert isinstance(self.landscape, NetworkLandscape)
        total = torch.zeros_like(v, dtype=torch.float64)
        for m in range(size):  # one gradient in memory at a time
            centred = self.landscape.minibatch_gradient(self.x, m) - self._mean
            total += torch.outer(v @ centred, centred)
        return (total / size).to(v)
