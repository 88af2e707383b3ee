"""Gradients of parameters that another optimizer trains, which the passes of a step make, too."""

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from ..landscapes.derivatives.live_buffers import known_optimizers

__all__ = ["joins", "made_once", "others_untouched"]

_alive: "weakref.WeakSet[Any]" = weakref.WeakSet()


def joins(optimizer: Optimizer) -> None:
    """Make an optimizer of this package known to :func:`others_untouched`."""
    _alive.add(optimizer)


@contextmanager
def others_untouched(own: Sequence[Tensor]) -> Iterator[None]:
    """A step inside adds nothing to the gradients of this package's other optimizers.

    They would take it for gradients made for their own step.

    Args:
        own: parameters whose step it is.
    """
    with _put_aside(list(_alive), own):
        yield


@contextmanager
def made_once(own: Sequence[Tensor]) -> Iterator[None]:
    """A further pass inside adds nothing to the gradients of any other optimizer: they have that of the first pass.

    Args:
        own: parameters whose gradients it is made for.
    """
    with _put_aside(known_optimizers(), own):
        yield


@contextmanager
def _put_aside(optimizers: Iterable[Any], own: Sequence[Tensor]) -> Iterator[None]:
    """Gradients of parameters that are not own ones are None inside, and then what they were."""
    ours = {id(p) for p in own}
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    before = [(p, p.grad) for group in groups for p in group["params"] if id(p) not in ours]
    for p, _ in before:
        p.grad = None
    try:
        yield
    finally:
        for p, g in before:
            p.grad = g
