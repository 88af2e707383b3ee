"""What epochs change in a recursion's SDE: the terms of pairs of minibatches (:mod:`eigensam.sde.rules.sampling`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ...algebra.sums import Sum
from ...rules.sampling import Matrix, Sampling
from .effective import Effective
from .memory_weights import memory_weights
from .one_step import Powers

__all__ = ["EpochTerms"]

_DIGITS = 10**15
"""Largest denominator of what is printed and computed with; an exact value beyond is rounded, to 30 digits."""


@dataclass(frozen=True, eq=False)
class EpochTerms:
    """The terms of a recursion's SDE that are due to its law of minibatches.

    Args:
        effective: of the recursion with independent minibatches.
        increments: ``h`` in units of the effective rate, of the step's own minibatch.
    """

    effective: Effective
    increments: Powers

    @property
    def _sampling(self) -> Sampling:
        return self.effective.step.recursion.sampling

    @property
    def noise(self) -> Fraction:
        """The noise's covariance as a multiple of ``Cov h``."""
        return self._sampling.noise()

    def lags(self) -> Iterator[Fraction]:
        """``c_1, c_2, ...``: see :func:`.memory_weights.memory_weights`."""
        return memory_weights(self.effective, self.increments)

    @cached_property
    def share(self) -> Fraction:
        """``kappa``: ``b_1`` has ``kappa C`` more than with independent minibatches."""
        total = self._sampling.share(self.lags())
        return total if total.denominator <= _DIGITS else total.limit_denominator(_DIGITS)

    @cached_property
    def correction(self) -> Powers:
        """``kappa C``."""
        result: Powers = {}
        if not self.share:
            return result
        for i, left in self.increments.items():
            for j, right in self.increments.items():
                if self.effective.step.fits(2, i + j):
                    together = left.along(right).mean() - left.mean().along(right.mean())
                    result[i + j] = result.get(i + j, Sum()) + together * self.share
        return {k: value for k, value in result.items() if value}

    @cached_property
    def kernel(self) -> Matrix | None:
        """``K``, where pairs of minibatches are not all alike: ``b_1`` has ``E_b (D h_b)[sum_a K_ba h_a]`` more."""
        return self._sampling.kernel(self.lags())
