"""Vectors of a Gaussian's parameters as float64, checked: what is stored is exactly what was given."""

from typing import SupportsFloat

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..rounding.real import real_number

__all__ = ["LARGEST", "SMALLEST", "positive_vector", "real_vector"]

SMALLEST, LARGEST = 1e-70, 1e70
"""Range of means and standard deviations: their squares and quotients stay normal floats."""


def real_vector(name: str, values: Tensor, size: int | None = None) -> Tensor:
    """A detached float64 copy of a vector of real numbers; conversion from any smaller float is exact.

    Raises:
        InputError: not a floating vector, empty, another length than ``size``, or a number beyond ``LARGEST``.

    Example:
        >>> import torch
        >>> real_vector("mean", torch.tensor([0.1])).tolist()
        [0.10000000149011612]
    """
    if not isinstance(values, Tensor) or not values.is_floating_point() or values.layout != torch.strided:
        kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise InputError(f"{name} of type {kind} is no dense floating tensor; give one, e.g. by .float()")
    if values.ndim != 1 or len(values) == 0 or (size is not None and len(values) != size):
        expected = "(d,), d >= 1" if size is None else f"({size},)"
        raise InputError(f"{name} has shape {tuple(values.shape)}, need {expected}")
    vector = values.detach().to(torch.float64, copy=True)
    if not bool((vector.abs() <= LARGEST).all()):  # also refuses NaN
        raise InputError(f"{name} has entries that are not finite or beyond {LARGEST:g}; the training diverged")
    return vector


def positive_vector(name: str, values: Tensor | SupportsFloat, size: int, power: int = 1) -> Tensor:
    """Positive numbers as float64: of shape ``(size,)``, or ``(1,)`` where one number holds for all coordinates.

    Args:
        name: for messages.
        values: one number, or a vector of ``size`` of them.
        size: number of coordinates.
        power: 1 for standard deviations, 2 for variances: the allowed range is that of standard deviations, raised.

    Raises:
        InputError: shape, type, or a number that is not positive and finite, or out of range.

    Example:
        >>> positive_vector("sigma", 0.5, 3).tolist()
        [0.5]
    """
    low, high = SMALLEST**power, LARGEST**power
    if isinstance(values, Tensor) and values.ndim > 0:
        if not values.is_floating_point() or values.layout != torch.strided:
            raise InputError(f"{name} of type {values.dtype} is no dense floating tensor; give one, e.g. by .float()")
        if values.shape != (size,):
            raise InputError(f"{name} has shape {tuple(values.shape)}, need one number or ({size},)")
        vector = values.detach().to(torch.float64, copy=True)
    else:
        vector = torch.tensor([real_number(name, values, "up")], dtype=torch.float64)
    if not bool(((vector >= low) & (vector <= high)).all()):  # also refuses NaN
        worst = vector[~((vector >= low) & (vector <= high))][0].item()
        raise InputError(f"{name} = {worst:g} is not positive and finite, or not in [{low:g}, {high:g}]")
    return vector
