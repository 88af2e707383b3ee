"""Gaussians whose coordinates are independent."""

from abc import ABC

from torch import Tensor

from .independent_kl import independent_kl
from .posterior import GaussianPosterior
from .prior import GaussianPrior

__all__ = ["IndependentPosterior"]


class IndependentPosterior(GaussianPosterior, ABC):
    """``Q = N(mean, diag(sigmas^2))``; a sum of its coordinates is Gaussian with the sum of their variances.

    Attributes:
        sigmas: standard deviations, ``(d,)``, or ``(1,)`` where all are the same; float64.
    """

    sigmas: Tensor

    def _kl(self, prior: GaussianPrior) -> float:
        return independent_kl(self.mean, self.sigmas, prior)

    def _spread(self, noise: Tensor) -> Tensor:
        return noise.mul_(self.sigmas)
