"""A few directions with standard deviations of their own."""

import math
from typing import SupportsFloat, final

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..rounding.intervals import intervals, upper_end
from ..rounding.real import real_number
from .independent_kl import independent_kl
from .posterior import GaussianPosterior
from .prior import GaussianPrior
from .vectors import positive_vector, real_vector

__all__ = ["LowRankPosterior"]

_CHUNK = 4096
_NEAR = 0.1  # of |X|
_LEAST_RATIO = 2.0**-16  # so that 1 + D, and variances beside wider ones, keep many digits


@final
class LowRankPosterior(GaussianPosterior):
    """``sigma_i`` along row ``v_i`` of ``vectors``, ``sigma`` across: covariance ``V^T S^2 V + sigma^2 (I - V^T V)``.

    Floats are never orthonormal, so ``Q`` is defined by what is sampled: ``w = mean + A z`` with standard normal ``z``,

    ``A = sigma (I + V^T D V)``, ``D = diag(sigma_i/sigma - 1)`` (as floats: the attribute ``stretches``).

    For orthonormal rows that is the covariance above; for the rows as they are, the divergence is still that of
    ``mean + A z``: with ``G = V V^T``, ``E = G - I``, ``H = V P^-1 V^T`` and a prior of covariance ``P``,

    ``KL = KL(N(mean, sigma^2 I) || prior) + 1/2 [sigma^2 tr((2D + DGD) H)] - ln det(I + D G)``,
    ``ln det(I + D G) = sum_i ln(1 + D_i) + ln det(I + X)``, ``X = (I + D)^-1 D E``,

    as ``A A^T = sigma^2 (I + V^T (2D + DGD) V)`` and ``det A = sigma^d det(I + D G)``. Of the part that vanishes with
    ``E`` an upper value is charged: ``-ln det(I + X) <= -tr X + |X|^2 / (2 (1 - |X|))`` in Frobenius' norm (as
    ``|tr X^m| <= |X|^m``), and ``sum_ab |D_a D_b E_ab| sqrt(H_aa H_bb)``.
    ``G`` and ``H`` are sums of products in float64, in chunks of ``c`` coordinates: whatever the order of summation,
    each entry is off by less than ``2 (c + chunks + 3) 2^-53 sqrt(G_aa G_bb)`` (Higham 2002, section 3.1), which
    is paid for, too. What is left is evaluated in intervals.

    Args:
        mean: ``(d,)``.
        sigma: standard deviation across the directions, in [1e-70, 1e70].
        vectors: ``(k, d)``, orthonormal rows up to rounding (as ``Eigenpairs.vectors``); kept in their precision.
        sigmas: standard deviations along the rows, ``(k,)``; at least ``2^-16 sigma``.

    Attributes:
        sigma: as given.
        vectors: as given.
        sigmas: ``(k,)``, float64.
        stretches: ``D``, ``(k,)``, float64.

    Raises:
        InputError: a sigma that is not positive and finite, rows that are not orthonormal (closely enough for these
            sigmas), shapes that do not fit.

    Reference:
        Yang, Mao, Chaudhari 2022 (posteriors along eigenvectors).

    Example:
        >>> import torch
        >>> from eigensam.bounds import GaussianPrior
        >>> q = LowRankPosterior(torch.zeros(3), 1.0, torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([0.5]))
        >>> round(q.kl(GaussianPrior(torch.zeros(3), 1.0)), 6)  # ln 2 - 3/8
        0.318147
    """

    def __init__(self, mean: Tensor, sigma: SupportsFloat, vectors: Tensor, sigmas: Tensor) -> None:
        super().__init__(mean)
        number = real_number("sigma", sigma, "up")
        positive_vector("sigma", number, self.dim)
        self.sigma = number
        if vectors.ndim != 2 or vectors.shape[1] != self.dim or not 1 <= len(vectors) <= self.dim:
            raise InputError(
                f"vectors have shape {tuple(vectors.shape)}, need (k, {self.dim}) with 1 <= k <= {self.dim}: "
                f"one row for each direction"
            )
        if vectors.dtype not in (torch.float32, torch.float64):
            raise InputError(f"vectors of type {vectors.dtype} are not precise enough; give float32 or float64")
        self.vectors = vectors.detach().clone().to(self.mean.device)
        directions = real_vector("sigmas", sigmas, len(vectors))
        self.sigmas = positive_vector("sigmas", directions, len(vectors)).to(self.mean.device)
        ratios = self.sigmas / self.sigma
        if not bool(((ratios >= _LEAST_RATIO) & (ratios <= 1 / _LEAST_RATIO)).all()):
            raise InputError(
                f"sigmas between {self.sigmas.min():g} and {self.sigmas.max():g} are more than 2^16 times below or "
                f"above sigma = {self.sigma:g}; floats cannot keep such directions apart"
            )
        self.stretches = ratios - 1
        self._error = 2 * (min(self.dim, _CHUNK) + math.ceil(self.dim / _CHUNK) + 3) * 2.0**-53
        self._excess = self._products(None) - torch.eye(len(vectors), dtype=torch.float64)  # exact near the diagonal
        largest = float(self._excess.abs().max())
        if not (largest < 1e-3 and self._excess_size() < _NEAR):  # also refuses NaN
            raise InputError(
                f"rows of vectors are not orthonormal: |V V^T - I| is up to {largest:.2g}, too much for "
                f"these sigmas; orthonormalise them in float64, e.g. by torch.linalg.qr(vectors.T.double()).Q.T"
            )

    def _products(self, variance: Tensor | None) -> Tensor:
        """``V P^-1 V^T``, or ``V V^T``, in float64 on the CPU, each entry within ``_error``."""
        total = torch.zeros(len(self.vectors), len(self.vectors), dtype=torch.float64)
        for start in range(0, self.dim, _CHUNK):
            rows = self.vectors[:, start : start + _CHUNK].to("cpu", torch.float64)
            scale = 1.0 if variance is None else (variance if len(variance) == 1 else variance[start : start + _CHUNK])
            total += (rows / scale) @ rows.T
        return total

    def _excess_size(self) -> float:
        """Upper value of ``|X|``, Frobenius."""
        factors = (self.stretches / (1 + self.stretches)).abs().cpu()
        worst = self._excess.abs().cpu() + 2 * self._error
        return float((factors[:, None] * worst).norm()) * (1 + 1e-9)

    def _kl(self, prior: GaussianPrior) -> float:
        iv = intervals()
        error = self._error
        inverse = self._products(prior.variance.cpu())  # H
        stretches, orthogonality = self.stretches.cpu(), self._excess.cpu()
        lengths = (stretches.abs() * inverse.diagonal().sqrt()) * (1 + error)
        coupled = float(lengths @ (orthogonality.abs() + 2 * error) @ lengths) * (1 + 1e-9)
        size = self._excess_size()
        trace, logarithm = iv.real(coupled), iv.real(0)
        excess = iv.real(size) ** 2 / (2 * (1 - iv.real(size)))
        for d, h, e in zip(
            *(x.tolist() for x in (stretches, inverse.diagonal(), orthogonality.diagonal())), strict=True
        ):
            stretch = iv.real(d)
            trace += stretch * (2 + stretch) * iv.real(h) * iv.hull(1 - 2 * error, 1 + 2 * error)
            logarithm += iv.log(1 + stretch)
            excess -= stretch / (1 + stretch) * (iv.real(e) + iv.hull(-2 * error, 2 * error))
        sigma = torch.tensor([self.sigma], dtype=torch.float64)
        base = iv.real(independent_kl(self.mean, sigma, prior))
        return max(0.0, upper_end(base + iv.real(self.sigma) ** 2 * trace / 2 - logarithm + excess))

    def _spread(self, noise: Tensor) -> Tensor:
        vectors = self.vectors.to(torch.float64)
        return (noise + ((noise @ vectors.T) * self.stretches) @ vectors).mul_(self.sigma)
