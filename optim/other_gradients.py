"""Gradients of parameters that another optimizer trains, which the passes of a step make, too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from ..landscapes.derivatives.live_buffers import known_optimizers

__all__ = ["made_once"]


@contextmanager
def made_once(own: Sequence[Tensor]) -> Iterator[None]:
    """A further pass inside adds nothing to the gradients of other optimizers: they have that of the first pass.

    Args:
        own: parameters whose gradients it is made for.
    """
    ours = {id(p) for p in own}
    others = [
        p
        for optimizer in known_optimizers()
        for group in optimizer.param_groups
        for p in group["params"]
        if id(p) not in ours and p.requires_grad
    ]
    before = [p.grad for p in others]
    for p in others:
        p.grad = None  # so that the pass does not add to it
    try:
        yield
    finally:
        for p, g in zip(others, before, strict=True):
            p.grad = g
