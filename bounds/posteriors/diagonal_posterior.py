"""A standard deviation for each parameter."""

from typing import final

from torch import Tensor

from .independent_posterior import IndependentPosterior
from .vectors import positive_vector, real_vector

__all__ = ["DiagonalPosterior"]


@final
class DiagonalPosterior(IndependentPosterior):
    """``Q = N(mean, diag(sigmas^2))``.

    Args:
        mean: ``(d,)``.
        sigmas: standard deviations, ``(d,)``, in [1e-70, 1e70].

    Raises:
        InputError: a sigma that is not positive and finite, shapes that differ.

    Example:
        >>> import torch
        >>> from eigensam.bounds import GaussianPrior
        >>> q = DiagonalPosterior(torch.zeros(2), torch.tensor([0.5, 1.0]))
        >>> round(q.kl(GaussianPrior(torch.zeros(2), 1.0)), 6)  # ln 2 - 3/8
        0.318147
    """

    def __init__(self, mean: Tensor, sigmas: Tensor) -> None:
        super().__init__(mean)
        vector = real_vector("sigmas", sigmas, self.dim)
        self.sigmas = positive_vector("sigmas", vector, self.dim).to(self.mean.device)
