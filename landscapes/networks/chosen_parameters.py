"""Which of a model's parameters are coordinates, and the module that holds them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ...ground.errors import InputError

__all__ = ["matching_parameters", "unwrapped"]


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside of wrappers for parallel training and of compiled modules.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> unwrapped(nn.DataParallel(model)) is model
        True
    """
    while True:
        if isinstance(model, (DataParallel, DistributedDataParallel)):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):  # torch.compile's
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


def matching_parameters(
    model: nn.Module, trainable: dict[str, nn.Parameter], patterns: Sequence[str]
) -> dict[str, nn.Parameter]:
    """The parameters that have a name that matches; one that is shared by several modules has several names."""
    if not patterns:
        raise InputError("no parameter is chosen; give at least one name or pattern")
    matched: set[int] = set()
    for pattern in patterns:
        every = model.named_parameters(remove_duplicate=False)
        found = {id(p) for name, p in every if p.requires_grad and fnmatchcase(name, pattern)}
        if not found:
            known = ", ".join(list(trainable)[:8]) + (", ..." if len(trainable) > 8 else "")
            raise InputError(f"no trainable parameter matches '{pattern}'; there are: {known}")
        matched |= found
    return {name: p for name, p in trainable.items() if id(p) in matched}
