"""Entries of a state that is still empty, into which torch.distributed.checkpoint reads another one."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .base_optimizer import step_base

__all__ = ["asks_for_entries", "make_entries", "say_there_are_entries"]


def asks_for_entries(groups: Sequence[dict[str, Any]]) -> bool:
    """Whether a step would do nothing: along gradients that are there and are 0, by a learning rate of 0."""
    gradients = [p.grad for group in groups for p in group["params"] if p.requires_grad]
    return all(float(group.get("lr", 1.0)) == 0 for group in groups) and all(
        g is not None and not bool(g.any()) for g in gradients
    )


def make_entries(optimizer: Any) -> Tensor:
    """Let the base optimizer make its entries, and make the method's; returns what such a step does, no loss.

    Args:
        optimizer: of this package, that was asked by a step of length 0 along gradients of 0.
    """
    parameters = optimizer.parameters()
    if not optimizer.base.state:
        step_base(optimizer.base, optimizer._taken)
    for p in parameters:
        for name in optimizer.kept_tensors:
            optimizer.state[p].setdefault(name, torch.zeros_like(p))
    return torch.full((), math.nan, device=parameters[0].device)


def say_there_are_entries(optimizer: Any) -> None:
    """Keep torch from asking, with all hooks of a step, where only the base optimizer has some."""
    if not optimizer.state:
        for p in optimizer.parameters():
            optimizer.state[p] = {}
