"""Which minibatches a step of a chain takes: from normal numbers, and from what it remembers of the epoch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ....ground.errors import InputError
from ...rules.recursion import Recursion
from ...rules.sampling import GivenOrder, Independent, Reshuffled, SingleShuffle

__all__ = ["MinibatchLaw", "drawn_minibatch", "minibatch_law"]

Picked = tuple[Sequence[Tensor], Tensor]
"""For each draw of the step 1 in place of its minibatch and 0 elsewhere, shape ``(M,)``; and the next memory."""


@dataclass(frozen=True)
class MinibatchLaw:
    """A law of minibatches as a part of a chain.

    Attributes:
        noise_dim: normal numbers that a step takes.
        memory: what it remembers of an epoch, as it is at the start.
        pick: numbers of shape ``(noise_dim,)`` and memory to the minibatches of a step.
    """

    noise_dim: int
    memory: tuple[float, ...]
    pick: Callable[[Tensor, Tensor], Picked]


def minibatch_law(recursion: Recursion, size: int) -> MinibatchLaw:
    """The law of a recursion's draws among ``M`` minibatches, in a course that depends on no number.

    A minibatch is that of the largest of independent standard normal numbers among those that may be drawn, so it is
    uniform among them. Independent draws have ``M`` numbers each; an epoch remembers which minibatches it has used, and
    a single shuffle its order.

    Args:
        recursion: with a sampling, labelled draws, distinct or not.
        size: ``M``, of the landscape.

    Raises:
        InputError: epochs or distinct draws of another number of minibatches.

    Example:
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> sgd = Recursion("sgd", parse_statements("x = x - eta*g"), sampling=Reshuffled(3))
        >>> law, z = minibatch_law(sgd, 3), torch.tensor([0.3, 0.9, -1.0])
        >>> (drawn,), used = law.pick(z, torch.zeros(3))
        >>> (again,), used = law.pick(z, used)
        >>> drawn.tolist(), again.tolist(), used.tolist()
        ([0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0])
    """
    sampling = recursion.sampling
    family = recursion.distinct if isinstance(sampling, Independent) else getattr(sampling, "batches", None)
    if family not in (None, size):
        raise InputError(
            f"recursion '{recursion.name}' draws among {family} minibatches, and the landscape has {size}; write "
            f"{size} in its {'distinct' if isinstance(sampling, Independent) else 'epochs'}"
        )
    if isinstance(sampling, Reshuffled):
        return MinibatchLaw(size, (0.0,) * size, _reshuffled(sampling.epoch))
    if isinstance(sampling, SingleShuffle):
        return MinibatchLaw(size, (0.0,) * (size + 1), _single_shuffle)
    if isinstance(sampling, GivenOrder):
        return MinibatchLaw(0, (0.0,), _given_order(size))
    if not isinstance(sampling, Independent):
        raise InputError(
            f"a chain of minibatches with the law {type(sampling).__name__} is not known; simulate another"
        )
    count = len(recursion.draws or [""])
    return MinibatchLaw(size * count, (), _independent(count, recursion.distinct is not None))


def _independent(count: int, distinct: bool) -> Callable[[Tensor, Tensor], Picked]:
    def pick(z: Tensor, memory: Tensor) -> Picked:
        drawn: list[Tensor] = []
        for scores in z.chunk(count):
            if distinct and drawn:
                scores = _without(scores, torch.stack(drawn).sum(0))
            drawn.append(drawn_minibatch(scores))
        return drawn, memory

    return pick


def _reshuffled(steps: int) -> Callable[[Tensor, Tensor], Picked]:
    def pick(z: Tensor, used: Tensor) -> Picked:
        drawn = drawn_minibatch(_without(z, used))
        used = used + drawn
        return [drawn], torch.where(used.sum() < steps, used, torch.zeros_like(used))

    return pick


def _single_shuffle(z: Tensor, memory: Tensor) -> Picked:
    """Memory: the place of each minibatch in the order, from 1, 0 before it is known; and steps of the epoch so far."""
    places, done = memory[:-1], memory[-1]
    known = (places == done + 1).to(z.dtype)
    drawn = torch.where(known.sum() > 0, known, drawn_minibatch(_without(z, places)))
    places = torch.where((drawn > 0) & (places == 0), done + 1, places)
    done = torch.where(done + 1 < len(places), done + 1, torch.zeros_like(done))
    return [drawn], torch.cat([places, done[None]])


def _given_order(size: int) -> Callable[[Tensor, Tensor], Picked]:
    def pick(z: Tensor, memory: Tensor) -> Picked:
        place = torch.arange(size, device=memory.device).to(memory.dtype)
        following = torch.where(memory + 1 < size, memory + 1, torch.zeros_like(memory))
        return [(place == memory).to(memory.dtype)], following

    return pick


def _without(scores: Tensor, used: Tensor) -> Tensor:
    return torch.where(used > 0, torch.full_like(scores, -torch.inf), scores)


def drawn_minibatch(scores: Tensor) -> Tensor:
    """1 in place of the largest number, the first of equal ones, and 0 elsewhere.

    Args:
        scores: shape ``(M,)``.

    Example:
        >>> drawn_minibatch(torch.tensor([0.5, 2.0, 2.0])).tolist()
        [0.0, 1.0, 0.0]
    """
    largest = (scores == scores.amax()).to(scores.dtype)
    return torch.where(largest.cumsum(0) <= 1, largest, torch.zeros_like(largest))
