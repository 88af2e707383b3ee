"""Coefficients of analytic landscapes: nested lists or tensors as float64, checked once."""

from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError

__all__ = ["finite_array"]


def finite_array(name: str, values: Any, *shapes: tuple[str, ...]) -> Tensor:
    """Numbers as a float64 tensor with as many axes as one of the shapes, none of them empty.

    Args:
        name: of the argument, for the message.
        values: nested lists of numbers, an array or a tensor.
        shapes: names of the axes of every accepted shape, such as ``("M", "d")``.

    Raises:
        InputError: ragged lists, something that is not a number, another number of axes, an empty axis, NaN or
            infinity.

    Example:
        >>> finite_array("tilts", [[1, 2]], ("M", "d")).tolist()
        [[1.0, 2.0]]
        >>> finite_array("tilts", [1, 2], ("M", "d"))
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: tilts have shape (2,); expected (M, d), every axis at least 1 long
    """
    expected = " or ".join(f"({', '.join(shape)})" for shape in shapes)
    try:
        result = torch.as_tensor(values, dtype=torch.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InputError(
            f"{name} must be real numbers of shape {expected}, rows of equal length; torch says: {error}"
        ) from None
    if result.ndim not in map(len, shapes) or not result.numel():
        raise InputError(f"{name} have shape {tuple(result.shape)}; expected {expected}, every axis at least 1 long")
    if not result.isfinite().all():
        wrong = result[~result.isfinite()][0].item()
        raise InputError(f"{name} contain {wrong}; expected finite numbers, replace it")
    return result
