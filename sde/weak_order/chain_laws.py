"""Moments of a recursion with affine steps under every law of its minibatches, exactly.

With ``y = (z, 1)`` for the state ``z`` a step is ``y+ = F_g y``, and ``Z = E y y^T``. Independent minibatches have
``Z+ = E F_g Z F_g^T``. In reshuffled epochs ``Z`` is kept for each set of minibatches that are used up; a single
shuffle and a given order keep ``y`` for each order.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..rules.recursion import Recursion
from ..rules.sampling import Epochs, GivenOrder, Independent, Reshuffled, SingleShuffle
from .moment_flow import TimedMatrix

__all__ = ["ChainLaw", "chain_law", "chain_moments"]

_MOST_ORDERS = 5040
_MOST_SETS = 4096
_NUMBERS = 2**22  # of what is kept at once


class ChainLaw(ABC):
    """Moments of the state, epoch by epoch.

    Args:
        start: the state before the first step, which is not random, as ``(z, 1)``.
    """

    epoch: int = 1

    @abstractmethod
    def __init__(self, start: Tensor) -> None: ...

    @abstractmethod
    def advance(self, steps: Tensor) -> Tensor:
        """``Z`` after each step of one epoch.

        Args:
            steps: ``F_g`` of each step, shape ``(epoch, M, n, n)``.
        """


class _IndependentLaw(ChainLaw):
    def __init__(self, start: Tensor) -> None:
        self._z = torch.outer(start, start)

    def advance(self, steps: Tensor) -> Tensor:
        """The mean over all minibatches."""
        self._z = _mean_image(steps[0], self._z)
        return self._z[None]


class _ShuffledLaw(ChainLaw):
    """Epochs without replacement, each from one of some lists of minibatches, all equally likely."""

    def __init__(self, start: Tensor, lists: Sequence[Sequence[int]], epoch: int) -> None:
        self._z, self.epoch = torch.outer(start, start), epoch
        device = start.device
        self._levels = [[each.to(device) for each in _level(lists, j)] for j in range(epoch)]
        self._lists, self._length = len(lists), len(lists[0])
        self._sets = [len(lists) * math.comb(self._length, j + 1) for j in range(epoch)]

    def advance(self, steps: Tensor) -> Tensor:
        """Over sets of used minibatches, in the order of their sizes."""
        used = self._z.expand(self._lists, *self._z.shape) / self._lists
        result = []
        for j, (sources, minibatches, targets) in enumerate(self._levels):
            step = steps[j][minibatches]
            images = step @ used[sources] @ step.mT / (self._length - j)
            used = images.new_zeros(self._sets[j], *self._z.shape).index_add(0, targets, images)
            result.append(used.sum(0))
        self._z = result[-1]
        return torch.stack(result)


def _level(lists: Sequence[Sequence[int]], size: int) -> tuple[Tensor, Tensor, Tensor]:
    """All ways from a set of so many used places to the next: both sets' numbers, and the minibatch between them."""
    length = len(lists[0])
    before, after = (
        {chosen: i for i, chosen in enumerate(itertools.combinations(range(length), n))} for n in (size, size + 1)
    )
    rows = []
    for number, family in enumerate(lists):
        for chosen, source in before.items():
            for place in set(range(length)) - set(chosen):
                target = after[tuple(sorted((*chosen, place)))]
                rows.append((number * len(before) + source, family[place], number * len(after) + target))
    return tuple(torch.tensor(column) for column in zip(*rows, strict=True))  # type: ignore[return-value]  # three


class _OrderedLaw(ChainLaw):
    """All epochs in the same order, one of some that are equally likely."""

    def __init__(self, start: Tensor, orders: Sequence[Sequence[int]]) -> None:
        self._orders = torch.tensor(orders, device=start.device)
        self.epoch = len(orders[0])
        self._y = start.expand(len(orders), -1)

    def advance(self, steps: Tensor) -> Tensor:
        """One vector for each order."""
        result = []
        for j in range(self.epoch):
            everywhere = torch.einsum("gij,oj->ogi", steps[j], self._y)
            self._y = everywhere[torch.arange(len(self._y)), self._orders[:, j]]
            result.append(self._y.mT @ self._y / len(self._y))
        return torch.stack(result)


def _mean_image(steps: Tensor, z: Tensor) -> Tensor:
    """``E F_g Z F_g^T`` by two products of matrices."""
    count, n = steps.shape[:2]
    images = (steps.reshape(count * n, n) @ z).reshape(count, n, n)
    return images.transpose(0, 1).reshape(n, count * n) @ steps.transpose(1, 2).reshape(count * n, n) / count


def chain_law(recursion: Recursion, start: Tensor, size: int) -> ChainLaw:
    """The law of a recursion's minibatches.

    Args:
        recursion: whose.
        start: ``(z, 1)``.
        size: of the family.

    Raises:
        InputError: a family of another size; too many orders or sets of minibatches to list.

    Example:
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> sgd = Recursion("sgd", parse_statements("x = x - eta*g"), sampling=Reshuffled(2))
        >>> law = chain_law(sgd, torch.tensor([1.0, 1.0]), 2)
        >>> steps = torch.tensor([[[0.5, 0.0], [0.0, 1.0]], [[0.5, 1.0], [0.0, 1.0]]])
        >>> law.advance(steps.expand(2, 2, 2, 2))[:, 0, 1].tolist()  # (1/2 + 3/2)/2, and (5/4 + 3/4)/2
        [1.0, 1.0]
    """
    sampling = recursion.sampling
    needed = sampling.family if recursion.distinct is None else recursion.distinct
    if needed not in (None, size):
        raise InputError(
            f"recursion '{recursion.name}' draws from {needed} minibatches, and the landscape has {size}; give a "
            f"landscape of {needed}, or a recursion that draws from {size}"
        )
    match sampling:
        case Independent():
            return _IndependentLaw(start)
        case Reshuffled() | Epochs():
            lists = list(sampling.epochs) if isinstance(sampling, Epochs) else [list(range(size))]
            sets = len(lists) * sum(math.comb(len(lists[0]), j) for j in range(sampling.epoch + 1))
            _check(sets, _MOST_SETS, f"sets of minibatches in an epoch of {sampling.epoch} steps")
            return _ShuffledLaw(start, lists, sampling.epoch)
        case SingleShuffle():
            _check(math.factorial(size), _MOST_ORDERS, f"orders of {size} minibatches")
            return _OrderedLaw(start, list(itertools.permutations(range(size))))
        case GivenOrder():
            return _OrderedLaw(start, [range(size)])
    raise InputError(
        f"recursion '{recursion.name}': moments are not computed for {type(sampling).__name__}; use Independent, "
        "Reshuffled, SingleShuffle, GivenOrder or Epochs"
    )


def _check(count: int, most: int, what: str) -> None:
    if count > most:
        raise InputError(f"{count} {what} are too many to list, at most {most}; use fewer minibatches")


def chain_moments(
    law: ChainLaw, steps: TimedMatrix, step_time: float, count: int, offset: float = 0.0
) -> Iterator[tuple[int, Tensor]]:
    """``Z`` after each of ``count`` steps, in pieces of whole epochs: the first step's number, and the moments.

    Args:
        law: of the minibatches; it is moved on.
        steps: ``F_g`` at a time.
        step_time: how much time a step takes.
        count: of steps, a multiple of the epoch.
        offset: the time of the first step.
    """
    numbers = steps.first.numel()
    epochs = max(1, _NUMBERS // (numbers * law.epoch))
    for begin in range(0, count, epochs * law.epoch):
        end = min(count, begin + epochs * law.epoch)
        found = steps.at([offset + k * step_time for k in range(begin, end)])
        moments = [law.advance(epoch) for epoch in found.unflatten(0, (-1, law.epoch))]
        yield begin + 1, torch.cat(moments)
