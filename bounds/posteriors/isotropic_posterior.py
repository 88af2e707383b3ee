"""One standard deviation for all parameters."""

from typing import SupportsFloat, final

from torch import Tensor

from ..rounding.real import real_number
from .independent_posterior import IndependentPosterior
from .vectors import positive_vector

__all__ = ["IsotropicPosterior"]


@final
class IsotropicPosterior(IndependentPosterior):
    """``Q = N(mean, sigma^2 I)``.

    Args:
        mean: ``(d,)``.
        sigma: standard deviation, in [1e-70, 1e70].

    Raises:
        InputError: sigma that is not one positive finite number, a mean that is no vector of finite numbers.

    Example:
        >>> import torch
        >>> from eigensam.bounds import GaussianPrior
        >>> q = IsotropicPosterior(torch.ones(2), 0.5)
        >>> round(q.kl(GaussianPrior(torch.zeros(2), 0.25)), 9), q.sample(3, torch.Generator()).shape
        (4.0, torch.Size([3, 2]))
    """

    def __init__(self, mean: Tensor, sigma: SupportsFloat) -> None:
        super().__init__(mean)
        self.sigmas = positive_vector("sigma", real_number("sigma", sigma, "up"), self.dim).to(self.mean.device)
