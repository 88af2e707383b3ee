"""How a training draws its minibatches: independently, or epoch by epoch."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from ...ground.errors import InputError

__all__ = ["GivenOrder", "Independent", "Reshuffled", "Sampling", "SingleShuffle"]


@dataclass(frozen=True)
class Sampling:
    """The law of the minibatches ``gamma_1, gamma_2, ...``: each alone is uniform in all laws of this module.

    Attributes:
        words: what it is called in print.
        epoch: steps after which the law begins anew; 1 where all draws are independent.
    """

    words: ClassVar[str] = ""

    @property
    def epoch(self) -> int:
        raise NotImplementedError

    def noise(self) -> Fraction:
        """``Cov(h_1 + ... + h_epoch) / epoch`` as a multiple of ``Cov(h)``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Independent(Sampling):
    """Every step draws uniformly from the family, whatever was drawn before."""

    words: ClassVar[str] = "minibatches are drawn uniformly and independently of each other"

    @property
    def epoch(self) -> int:
        return 1

    def noise(self) -> Fraction:
        return Fraction(1)


@dataclass(frozen=True)
class _OfFamily(Sampling):
    batches: int

    def __post_init__(self) -> None:
        if not isinstance(self.batches, int) or isinstance(self.batches, bool) or self.batches < 1:
            raise InputError(f"{self.batches!r} minibatches; give the number in the family, at least 1")

    @property
    def epoch(self) -> int:
        return self.batches

    def noise(self) -> Fraction:
        return Fraction(0)


@dataclass(frozen=True)
class Reshuffled(_OfFamily):
    """Every epoch takes minibatches of the family in a new random order, without replacement.

    Args:
        batches: ``N``, the size of the family.
        steps: ``M <= N``, of an epoch: the others are left out this time; None: all.

    Example:
        >>> Reshuffled(4).noise(), Reshuffled(4, steps=3).noise()
        (Fraction(0, 1), Fraction(1, 3))
    """

    words: ClassVar[str] = "every epoch takes minibatches of the family in a new random order, without replacement"
    steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is not None and not (isinstance(self.steps, int) and 1 <= self.steps <= self.batches):
            raise InputError(f"an epoch of {self.steps} steps of {self.batches} minibatches; give 1 to {self.batches}")

    @property
    def epoch(self) -> int:
        return self.batches if self.steps is None else self.steps

    def noise(self) -> Fraction:
        return Fraction(self.batches - self.epoch, self.batches - 1) if self.batches > 1 else Fraction(0)


@dataclass(frozen=True)
class SingleShuffle(_OfFamily):
    """One random order, which all epochs take; expectations are over that order, too."""

    words: ClassVar[str] = "all epochs take the minibatches in one random order; expectations are over that order, too"


@dataclass(frozen=True)
class GivenOrder(_OfFamily):
    """All epochs take the minibatches in the order in which the family has them: nothing is random."""

    words: ClassVar[str] = "all epochs take the minibatches in the order of the family"
