"""How a training draws its minibatches: independently, or epoch by epoch.

The slow position ``y`` of a recursion follows ``y+ = y + eps h_n(y - eps sum_l c_l h_{n-l})``, with weights ``c_l`` of
what memory has of the step ``l`` steps ago. So the minibatches of two steps enter the SDE at ``eps^2``, and a law is
what it says of pairs: what they add to ``b_1`` beyond independent ones, and ``Cov(h_1 + ... + h_M)/M`` over an epoch of
``M`` steps. Where all pairs are alike, the former is a multiple of ``C = E (D h~) h~`` with ``h~ = h - E h``; in
general it is ``E_b (D h_b)[sum_a K_ba h_a]`` with a matrix ``K``. Source: theory, section 8.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import Any, ClassVar

from ...ground.errors import InputError

__all__ = [
    "Epochs",
    "GivenOrder",
    "Independent",
    "Matrix",
    "Reshuffled",
    "Sampling",
    "SingleShuffle",
    "repartitions",
    "within_epoch",
]

Matrix = list[list[float]]
"""Of the minibatches of a family, one row for each."""

_MOST_EXAMPLES = 8
_MOST_IN_PAIRS = 2000  # ours: matrices of a hundred megabytes


@dataclass(frozen=True)
class Sampling:
    """The law of the minibatches ``gamma_1, gamma_2, ...``; each alone is uniform over the family.

    Attributes:
        words: what it is called in print.
    """

    words: ClassVar[str] = ""
    powers: ClassVar[int | None] = None
    """Up to which power of ``rho`` it knows what pairs add, of a rule that is linear in examples at 0; None: all."""

    @property
    def epoch(self) -> int:
        """Steps after which the law begins anew: 1 where all draws are independent."""
        return 1

    @property
    def family(self) -> int | None:
        """How many minibatches the family must have; None: any number."""
        return None

    @property
    def random(self) -> bool:
        """Whether the SDE has noise at all."""
        return self.noise() > 0

    def noise(self) -> Fraction:
        """``Cov(h_1 + ... + h_M) / M`` as a multiple of ``Cov h``; 1 where :meth:`noise_matrix` says how."""
        return Fraction(1)

    def share(self, lags: Iterable[Fraction]) -> Fraction:
        """The multiple of ``C`` that ``b_1`` has more than with independent minibatches.

        Args:
            lags: ``c_1, c_2, ...``.
        """
        return Fraction(0)

    def kernel(self, lags: Iterable[Fraction]) -> Matrix | None:
        """``K``, where pairs are not all alike."""
        return None

    def noise_matrix(self) -> Matrix | None:
        """``Q`` with ``Cov(h_1 + ... + h_M)/M = (1/N) sum_ab Q_ab h~_a h~_b'``, where pairs are not all alike."""
        return None


@dataclass(frozen=True)
class Independent(Sampling):
    """Every step draws uniformly from the family, whatever was drawn before."""

    words: ClassVar[str] = "minibatches are drawn uniformly and independently of each other"


@dataclass(frozen=True)
class _OfFamily(Sampling):
    batches: int

    def __post_init__(self) -> None:
        if not _is_whole(self.batches) or self.batches < 1:
            raise InputError(f"{self.batches!r} minibatches; give the number in the family, at least 1")
        object.__setattr__(self, "batches", int(self.batches))

    @property
    def epoch(self) -> int:
        """All minibatches of the family."""
        return self.batches

    @property
    def family(self) -> int | None:
        """``N``."""
        return self.batches

    def noise(self) -> Fraction:
        """None: an epoch's sum is always the same."""
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
        if self.steps is not None and not (_is_whole(self.steps) and 1 <= self.steps <= self.batches):
            raise InputError(f"an epoch of {self.steps} steps of {self.batches} minibatches; give 1 to {self.batches}")
        object.__setattr__(self, "steps", None if self.steps is None else int(self.steps))

    @property
    def epoch(self) -> int:
        """``M``."""
        return self.batches if self.steps is None else self.steps

    def noise(self) -> Fraction:
        """``(N - M)/(N - 1)``."""
        return Fraction(self.batches - self.epoch, self.batches - 1) if self.batches > 1 else Fraction(0)

    def share(self, lags: Iterable[Fraction]) -> Fraction:
        """``-(M - 1)/(2(N - 1)) + sum_{l < M} c_l (1 - l/M)/(N - 1)``."""
        if self.batches == 1:
            return Fraction(0)
        return within_epoch(self.epoch, lags) / (1 - self.batches)


@dataclass(frozen=True)
class SingleShuffle(_OfFamily):
    """One random order, which all epochs take; expectations are over that order, too."""

    words: ClassVar[str] = "all epochs take the minibatches in one random order; expectations are over that order, too"

    def share(self, lags: Iterable[Fraction]) -> Fraction:
        """``-1/2 + sum_l c_l /(N - 1)``, where a lag that is a multiple of ``N`` counts ``-c_l`` instead."""
        n = self.batches
        if n == 1:
            return Fraction(0)
        total = Fraction(-1, 2)
        for lag, weight in enumerate(lags, 1):
            total += -weight if lag % n == 0 else weight / (n - 1)
        return total


@dataclass(frozen=True)
class GivenOrder(_OfFamily):
    """All epochs take the minibatches in the order in which the family has them: nothing is random."""

    words: ClassVar[str] = "all epochs take the minibatches in the order of the family"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_pairs(self.batches)

    def kernel(self, lags: Iterable[Fraction]) -> Matrix:
        """1 for each pair of an epoch in its order, less the weight of memory, less the average of both.

        Example:
            >>> GivenOrder(2).kernel([])
            [[-0.25, -0.25], [0.75, -0.25]]
        """
        n = self.batches
        behind = [0.0] * n  # the weight of the minibatch so many places behind
        for lag, weight in enumerate(lags, 1):
            behind[lag % n] += float(weight)
        centre = ((n - 1) / 2 - sum(behind)) / n
        return [[(a < b) - behind[(b - a) % n] - centre for a in range(n)] for b in range(n)]


@dataclass(frozen=True)
class Epochs(Sampling):
    """Every epoch is one of finitely many, all equally likely, and takes its minibatches in random order.

    Args:
        epochs: of each, the numbers of its minibatches in the family, from 0; all of the same length. Each minibatch
            must occur as often as every other.

    Raises:
        InputError: no epochs, different lengths, or minibatches that are not equally frequent.

    Example:
        >>> Epochs(((0, 1), (2, 3))).noise_matrix()  # (h_0 + h_1) and (h_2 + h_3) take turns at random
        [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]
    """

    words: ClassVar[str] = "every epoch takes one of a list of sets of minibatches at random, in random order"
    epochs: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "epochs", tuple(tuple(epoch) for epoch in self.epochs))
            lengths = {len(epoch) for epoch in self.epochs}
        except TypeError:
            raise InputError(
                f"epochs are {self.epochs!r}; give numbers of minibatches, e.g. ((0, 1), (2, 3))"
            ) from None
        if not self.epochs or len(lengths) > 1 or 0 in lengths:
            raise InputError(f"epochs of {sorted(lengths) or 'no'} minibatches; give one length, at least 1, for all")
        every = list(itertools.chain(*self.epochs))
        if not all(_is_whole(i) and i >= 0 for i in every):
            raise InputError("epochs hold numbers of minibatches, 0, 1, ...; give whole numbers")
        _check_pairs(max(every) + 1)
        counts = {every.count(i) for i in range(max(every) + 1)}
        if len(counts) > 1:
            raise InputError(
                f"minibatches occur from {min(counts)} to {max(counts)} times in all epochs; give epochs in which each "
                "occurs as often as every other"
            )

    @property
    def epoch(self) -> int:
        """``M``."""
        return len(self.epochs[0])

    @property
    def family(self) -> int | None:
        """``N``."""
        return max(itertools.chain(*self.epochs)) + 1

    def kernel(self, lags: Iterable[Fraction]) -> Matrix:
        """The joint law of two minibatches of an epoch, times what :class:`Reshuffled` has for all pairs."""
        n, m = self.family or 0, self.epoch
        pairs = [[0.0] * n for _ in range(n)]
        for epoch in self.epochs:
            for a, b in itertools.permutations(epoch, 2):
                pairs[b][a] += n / (len(self.epochs) * m * (m - 1))
        scale = float(within_epoch(m, lags))
        return [[scale * (pairs[b][a] - sum(pairs[b]) / n) for a in range(n)] for b in range(n)]

    def noise(self) -> Fraction:
        """0 where all epochs have the same sum, else 1, of what :meth:`noise_matrix` says."""
        return Fraction(len({tuple(sorted(epoch)) for epoch in self.epochs}) > 1 or self._uneven)

    @property
    def _uneven(self) -> bool:
        """Whether an epoch has some minibatches more often than others."""
        n = self.family or 0
        return any(len({epoch.count(i) for i in range(n)}) > 1 for epoch in self.epochs)

    def noise_matrix(self) -> Matrix:
        """``N/M`` times the mean product of how often an epoch has each of two minibatches."""
        n = self.family or 0
        result = [[0.0] * n for _ in range(n)]
        for epoch in self.epochs:
            for a, b in itertools.product(epoch, repeat=2):
                result[a][b] += n / (self.epoch * len(self.epochs))
        return result


def repartitions(examples: int, size: int) -> tuple[list[tuple[int, ...]], Epochs]:
    """Epochs in which a few examples are cut into new minibatches every time.

    Args:
        examples: their number, at most 8: all partitions are listed.
        size: of a minibatch, a divisor of it.

    Returns:
        The family's minibatches as tuples of examples, and the epochs.

    Raises:
        InputError: too many examples, or a size that does not divide their number.

    Example:
        >>> batches, epochs = repartitions(4, 2)
        >>> batches, epochs.epochs
        ([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)], ((0, 5), (1, 4), (2, 3)))
    """
    whole = _is_whole(examples) and _is_whole(size)
    if not whole or not 1 <= examples <= _MOST_EXAMPLES or not 1 <= size <= examples or examples % size:
        raise InputError(
            f"{examples} examples in minibatches of {size}; give at most {_MOST_EXAMPLES} examples and a size that "
            "divides their number"
        )
    batches = list(itertools.combinations(range(examples), size))
    number = {batch: i for i, batch in enumerate(batches)}

    def cut(left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if not left:
            yield ()
            return
        for rest in itertools.combinations(left[1:], size - 1):
            batch = (left[0], *rest)
            for others in cut(tuple(i for i in left if i not in batch)):
                yield (number[batch], *others)

    epochs = Epochs(tuple(cut(tuple(range(examples)))))
    count = math.factorial(examples) // (math.factorial(size) ** epochs.epoch * math.factorial(epochs.epoch))
    assert len(epochs.epochs) == count
    return batches, epochs


def _check_pairs(batches: int) -> None:
    if batches > _MOST_IN_PAIRS:
        raise InputError(
            f"a family of {batches} minibatches has {batches}^2 pairs, each with a weight of its own; at most "
            f"{_MOST_IN_PAIRS} minibatches are taken in pairs, use larger ones, Reshuffled or SingleShuffle"
        )


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def within_epoch(steps: int, lags: Iterable[Fraction]) -> Fraction:
    """``(M - 1)/2 - sum_{l < M} c_l (1 - l/M)``: how often two steps of one epoch meet, later ones after earlier."""
    total = Fraction(steps - 1, 2)
    for lag, weight in zip(range(1, steps), lags, strict=False):
        total -= weight * Fraction(steps - lag, steps)
    return total
