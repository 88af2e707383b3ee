"""Epochs that cut many examples into new minibatches every time, as data loaders do."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from ...ground.errors import InputError
from .sampling import Sampling, within_epoch

__all__ = ["Repartitioned"]


@dataclass(frozen=True)
class Repartitioned(Sampling):
    """Every epoch cuts a new random permutation of the examples into minibatches, and leaves out the rest.

    A loss of a minibatch is the mean of its ``b`` examples of ``n``. Two disjoint ones have
    ``Cov(h_A, h_B) = -Cov(h_A)/(n/b - 1)`` where ``h`` is linear in the examples, as SGD's; so the law is that of
    :class:`.sampling.Reshuffled` with ``N = n/b`` minibatches, a fraction, in epochs of ``M = n // b``; expectations
    run over *all* minibatches of ``b`` examples. A perturbation is not linear in the examples, but what is not enters
    pairs at ``rho^2`` only: in Hoeffding's decomposition of a function of a random subset, parts of different degree
    are uncorrelated, also between disjoint subsets, and at ``rho^0`` only the linear part is there. So pairs are exact
    up to ``rho^1``, and more is refused.

    Args:
        examples: ``n``.
        size: ``b``, of a minibatch.

    Raises:
        InputError: no minibatch fits.

    Source:
        Serfling 1974 (means of samples without replacement); Bloznelis & Goetze 2001 (the decomposition).

    Example:
        >>> law = Repartitioned(1437, 64)
        >>> law.epoch, law.noise()  # 29 of 1437 examples are left out in each epoch
        (22, Fraction(29, 1373))
        >>> Repartitioned(1024, 64).noise()
        Fraction(0, 1)
    """

    words: ClassVar[str] = (
        "every epoch cuts the examples anew into minibatches at random, and leaves out the rest; a minibatch's loss is "
        "the mean of its examples' losses"
    )
    powers: ClassVar[int | None] = 1
    examples: int
    size: int

    def __post_init__(self) -> None:
        for name in ("examples", "size"):
            if not isinstance(getattr(self, name), int) or isinstance(getattr(self, name), bool):
                raise InputError(f"{name} = {getattr(self, name)!r:.60} is not a whole number; give how many there are")
        if not 1 <= self.size <= self.examples:
            raise InputError(
                f"minibatches of {self.size} of {self.examples} examples; give a size from 1 to {self.examples}"
            )

    @property
    def ratio(self) -> Fraction:
        """``N = n/b``."""
        return Fraction(self.examples, self.size)

    @property
    def epoch(self) -> int:
        """``M = n // b``."""
        return self.examples // self.size

    def noise(self) -> Fraction:
        """``(N - M)/(N - 1)``; with one minibatch of all examples there is none."""
        return Fraction(0) if self.ratio == 1 else (self.ratio - self.epoch) / (self.ratio - 1)

    def share(self, lags: Iterable[Fraction]) -> Fraction:
        """``-(M - 1)/(2(N - 1)) + sum_{l < M} c_l (1 - l/M)/(N - 1)``."""
        return Fraction(0) if self.ratio == 1 else within_epoch(self.epoch, lags) / (1 - self.ratio)
