"""Labels of the components of tensors: conversions, and functions of them one by one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .program import NotSplitError, Program

__all__ = ["as_tensor", "converted", "each_component", "index_of", "of_type"]


def each_component(function: Callable[..., int], *labels: Tensor) -> Tensor:
    """A function of the components of tensors that broadcast."""
    together = torch.broadcast_tensors(*labels)
    rows = zip(*(each.flatten().tolist() for each in together), strict=True)
    return torch.tensor([function(*row) for row in rows], dtype=torch.int64).reshape(together[0].shape)


def converted(program: Program, label: int, dtype: torch.dtype) -> int:
    """A label in a type."""
    if program.dtype(label) == dtype:
        return label
    number = program.number(label)
    if number is not None:
        return program.constant(torch.tensor(number).to(dtype).item(), dtype)
    return program.call(f"{{}}.to({dtype})", (label,), dtype)


def of_type(program: Program, value: Any, dtype: torch.dtype) -> Tensor:
    """Labels of a tensor or of a number, in a type."""
    if isinstance(value, Tensor):
        return each_component(lambda a: converted(program, a, dtype), value)
    return torch.tensor(program.constant(float(value), dtype))


def as_tensor(program: Program, label: int) -> int:
    """A constant as a tensor, which operations other than + - * / ask for."""
    if program.number(label) is None:
        return label
    dtype = program.dtype(label)
    return program.call(f"torch.full((), {{}}, dtype={dtype}, device=device)", (label,), dtype)


def index_of(program: Program, labels: Tensor) -> Tensor:
    """The numbers of an index.

    Raises:
        NotSplitError: they are not known.
    """
    found = program.known(labels)
    if found is None:
        raise NotSplitError("there is no code in components for an index that depends on the state")
    return found
