"""What one period of a recursion may draw, written out: a step of independent minibatches, or a whole epoch."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...ground.errors import InputError
from ..rules.recursion import Recursion
from ..rules.sampling import Epochs, GivenOrder, Independent, Reshuffled, SingleShuffle

__all__ = ["Period", "after_period", "period_of"]

_MOST = 120  # orders of an epoch: five minibatches

Blocks = Mapping[str, Any]
"""By name: arrays whose last axis are components."""


@dataclass(frozen=True)
class Period:
    """After which the law of the minibatches begins anew.

    Attributes:
        steps: of the recursion.
        worlds: each a list of equally likely sequences, a step's outcome each; what is drawn once and for all, as a
            single shuffle is, tells worlds apart, and these are equally likely, too.
    """

    steps: int
    worlds: Sequence[Sequence[tuple[int, ...]]]


def period_of(recursion: Recursion, size: int) -> Period:
    """The period on a family of so many minibatches.

    A step's outcome is a number: of its minibatch, or of its minibatches in the order of ``recursion.draws``, the last
    varying fastest.

    Raises:
        InputError: a family of another size than the law's; too many orders.

    Example:
        >>> from eigensam.sde.rules.sampling import Reshuffled
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> sgd = Recursion("sgd", parse_statements("x = x - eta*g"), sampling=Reshuffled(2))
        >>> period_of(sgd, 2)
        Period(steps=2, worlds=[[(0, 1), (1, 0)]])
    """
    law = recursion.sampling
    if not isinstance(law, Independent | Reshuffled | SingleShuffle | GivenOrder | Epochs):
        raise InputError(
            f"recursion '{recursion.name}': {law.words}; orders are listed of the minibatches of a family: give "
            "Reshuffled, SingleShuffle, GivenOrder, or independent draws"
        )
    for wanted in (recursion.distinct, law.family):
        if wanted not in (None, size):
            raise InputError(
                f"recursion '{recursion.name}' draws from {wanted} minibatches, and the landscape has {size}; give it "
                "that many"
            )
    if isinstance(law, Independent):
        count = max(1, len(recursion.draws))
        chosen = enumerate(itertools.product(range(size), repeat=count))
        return Period(1, [[(i,) for i, one in chosen if recursion.distinct is None or len(set(one)) == count]])
    if isinstance(law, GivenOrder):
        return Period(size, [[tuple(range(size))]])
    orders = len(law.epochs) * math.factorial(law.epoch) if isinstance(law, Epochs) else math.perm(size, law.epoch)
    if orders > _MOST:
        raise InputError(
            f"recursion '{recursion.name}': an epoch has {orders} orders, at most {_MOST} are computed; verify on a "
            "landscape of fewer minibatches, or with verify_moments on a quadratic"
        )
    if isinstance(law, Epochs):
        return Period(law.epoch, [[order for epoch in law.epochs for order in itertools.permutations(epoch)]])
    every = list(itertools.permutations(range(size), law.epoch))
    if isinstance(law, SingleShuffle):
        return Period(law.epoch, [[order] for order in every])
    if isinstance(law, Reshuffled):
        return Period(law.epoch, [every])
    raise InputError(f"recursion '{recursion.name}': {law} has no list of its orders; use verify_moments")


def after_period(
    step: Callable[[Blocks, int], Blocks], start: Blocks, sequences: Sequence[tuple[int, ...]]
) -> list[Blocks]:
    """Where each sequence leads; sequences that begin alike share their beginning.

    Args:
        step: from blocks and the number of a step in the period to the blocks after all its outcomes, shape ``(...,
            outcomes, d)``.
        start: blocks.
        sequences: of outcomes.
    """
    found: dict[tuple[int, ...], Blocks] = {(): start}
    outcomes: dict[tuple[int, ...], Blocks] = {}
    for sequence in sequences:
        for j, outcome in enumerate(sequence):
            before, here = sequence[:j], sequence[: j + 1]
            if before not in outcomes:
                outcomes[before] = step(found[before], j)
            if here not in found:
                found[here] = {name: block[..., outcome, :] for name, block in outcomes[before].items()}
    return [found[sequence] for sequence in sequences]
