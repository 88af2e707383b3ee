"""What every Gaussian posterior can do."""

from abc import ABC, abstractmethod
from copy import copy
from typing import Self

import torch
from torch import Generator, Tensor

from ...ground.errors import InputError
from .prior import GaussianPrior
from .vectors import real_vector

__all__ = ["GaussianPosterior"]


class GaussianPosterior(ABC):
    """A Gaussian ``Q`` over the flat vector of ``d`` parameters, in the order of ``model.parameters()``.

    ``Q`` is the distribution, over real vectors, of the float64 numbers that are stored. A mean in float32 is taken
    exactly. Samples are float64; where a network computes in float32 it rounds them once more, and that rounding
    belongs to the predictor ``w -> network(round(w))``, which is the same for every posterior: the divergence of ``Q``
    bounds that of the law of everything computed from ``w``. What is taken for granted is that torch's float64 normal
    numbers are independent and normal (they end at 8.6 standard deviations, which has probability 1e-17 in truth), and
    that ``mean + sigma * z`` is exact (it is rounded to a relative ``2^-53``).

    Args:
        mean: ``(d,)``.

    Attributes:
        mean: ``(d,)``, float64.

    Raises:
        InputError: a mean that is no vector of finite numbers.
    """

    def __init__(self, mean: Tensor) -> None:
        self.mean = real_vector("the posterior's mean", mean)

    @property
    def dim(self) -> int:
        """Number of parameters ``d``."""
        return len(self.mean)

    @abstractmethod
    def _kl(self, prior: GaussianPrior) -> float:
        """An upper value of the divergence from a prior of the same dimension."""

    @abstractmethod
    def _spread(self, noise: Tensor) -> Tensor:
        """Standard normal rows ``(count, d)`` with the covariance of ``Q``."""

    def kl(self, prior: GaussianPrior) -> float:
        """``KL(Q || prior)`` in nats, an upper value: never below the truth.

        Raises:
            InputError: a prior of another dimension.
        """
        if prior.dim != self.dim:
            raise InputError(f"the prior has {prior.dim} parameters, the posterior {self.dim}; they must be the same")
        return self._kl(prior)

    def sample(self, count: int, generator: Generator) -> Tensor:
        """Independent draws, ``(count, d)``, float64, on the device of the mean, which must be the generator's."""
        if not (isinstance(count, int) and count >= 1):
            raise InputError(f"count = {count} is no number of draws; give a whole number of at least 1")
        noise = torch.randn(count, self.dim, generator=generator, dtype=torch.float64, device=self.mean.device)
        return self.mean + self._spread(noise)

    def to(self, device: torch.device | str) -> Self:
        """The same distribution on another device."""
        moved = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(moved, name, value.to(device))
        return moved
