"""Weights whose length batch norm makes meaningless, brought to a common one, so that eigenvalues compare."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["at_first_lengths"]


@contextmanager
def at_first_lengths(model: nn.Module, first: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the weights of each layer right before a batch norm are as long as they were at first.

    In train mode the network is the same function there, up to the ``eps`` of batch norm, as a layer's outputs are
    divided by their deviation. Its Hessian is another one: with the weights ``c`` times as long, products with these
    directions are ``c`` times smaller on each side. So a network that has grown has a smaller eigenvalue and is no
    flatter.

    Args:
        model: whose layers follow each other as they are registered.
        first: its state at the start.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
        >>> first = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        >>> with torch.no_grad():
        ...     _ = model[0].weight.mul_(3.0)
        >>> with at_first_lengths(model, first):
        ...     torch.allclose(model[0].weight, first["0.weight"])
        True
    """
    kept: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        for name, layer in _before_batch_norm(model):
            factor = first[f"{name}.weight"].norm() / layer.get_parameter("weight").norm()
            for parameter in layer.parameters():
                kept.append((parameter, parameter.clone()))
                parameter.mul_(factor)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)


def _before_batch_norm(model: nn.Module) -> list[tuple[str, nn.Module]]:
    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    return [
        before
        for before, (_, after) in pairwise(leaves)
        if isinstance(after, nn.modules.batchnorm._BatchNorm) and hasattr(before[1], "weight")
    ]
