"""Train and eval mode of a network's modules, which whoever measures or trains gives back."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["kept_modes"]


@contextmanager
def kept_modes(model: nn.Module) -> Iterator[None]:
    """At the end every module is in the mode that it was in, each in its own: ``model.train(mode)`` gives all the same.

    Example:
        >>> model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2).eval())
        >>> with kept_modes(model):
        ...     _ = model.eval()
        >>> [module.training for module in model]
        [True, False]
    """
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
