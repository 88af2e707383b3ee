"""Covariances of one family, by what they know of the curvature; compared at equal divergence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...bounds.posteriors.diagonal_posterior import DiagonalPosterior
from ...bounds.posteriors.isotropic_posterior import IsotropicPosterior
from ...bounds.posteriors.low_rank_posterior import LowRankPosterior
from ...bounds.posteriors.posterior import GaussianPosterior

__all__ = ["CONTROLS", "SHAPES", "PosteriorShape", "narrowing", "posterior_shapes"]

SHAPES = ("isotropic", "diagonal", "spectral", "shuffled", "random")
"""``shuffled``: the eigenvectors with each other's eigenvalues; ``random``: the eigenvalues along random directions."""

CONTROLS = ("shuffled", "random")
"""Wrong on purpose."""

_HALVINGS = 80


@dataclass(frozen=True)
class PosteriorShape:
    """Standard deviations ``s / sqrt(1 + kappa h_i)`` along some directions, ``s`` across; ``kappa`` is chosen by KL.

    Attributes:
        curvature: ``h_i >= 0`` in any unit: one number (isotropic), ``(d,)`` (of the coordinates), or ``(k,)``.
        directions: orthonormal rows ``(k, d)``; None for the coordinates.
        dim: ``d``.
    """

    curvature: Tensor
    directions: Tensor | None
    dim: int

    def posterior(self, mean: Tensor, width: float, nats: float) -> GaussianPosterior:
        """With a divergence of ``nats`` from ``N(mean, width^2 I)``, up to rounding."""
        copies = self.dim if len(self.curvature) == 1 else 1
        sigmas = width * narrowing(self.curvature, nats / copies)
        if self.directions is not None:
            return LowRankPosterior(mean, width, self.directions, sigmas)
        if len(self.curvature) == 1:
            return IsotropicPosterior(mean, float(sigmas))
        return DiagonalPosterior(mean, sigmas)


def narrowing(curvature: Tensor, nats: float) -> Tensor:
    """``1/sqrt(1 + kappa h_i)`` with the ``kappa`` that spends so many nats.

    ``1/2 sum_i [ln(1 + t_i) - t_i/(1 + t_i)]``, ``t = kappa h``, is the divergence of a Gaussian that narrow from one
    of unit width, and grows with ``kappa``.

    Example:
        >>> narrowing(torch.tensor([3.0, 0.0], dtype=torch.float64), 0.3181471805599453).tolist()  # ln 2 - 3/8
        [0.5, 1.0]
    """
    if nats <= 0:
        return torch.ones_like(curvature)
    low, high = -60.0, 60.0
    scaled = curvature / curvature.max()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        t = scaled * 2.0**middle
        found = float((torch.log1p(t) - t / (1 + t)).sum()) / 2
        low, high = (middle, high) if found < nats else (low, middle)
    sigmas: Tensor = (1 + scaled * 2.0 ** ((low + high) / 2)).rsqrt()
    return sigmas


def posterior_shapes(
    eigenvalues: Tensor, eigenvectors: Tensor, diagonal: Tensor, seed: int
) -> dict[str, PosteriorShape]:
    """All of ``SHAPES``; the last two know the same numbers as ``spectral`` and are wrong on purpose.

    Args:
        eigenvalues: largest of the Hessian, ``(k,)``.
        eigenvectors: ``(k, d)``.
        diagonal: of a curvature matrix, ``(d,)``.
        seed: of shuffling and of random directions.
    """
    generator = torch.Generator().manual_seed(seed)
    k, dim = eigenvectors.shape
    values = eigenvalues.double().clamp(min=0)
    order = torch.randperm(k, generator=generator)
    random = torch.linalg.qr(torch.randn(dim, k, generator=generator, dtype=torch.float64)).Q.T.contiguous()
    known = torch.linalg.qr(eigenvectors.T.double()).Q.T.contiguous()  # what float32 left, to twice the digits
    return {
        "isotropic": PosteriorShape(torch.ones(1, dtype=torch.float64), None, dim),
        "diagonal": PosteriorShape(diagonal.double().clamp(min=0), None, dim),
        "spectral": PosteriorShape(values, known, dim),
        "shuffled": PosteriorShape(values[order], known, dim),
        "random": PosteriorShape(values, random, dim),
    }
