"""A classification data set in memory."""

import operator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...ground.errors import InputError

__all__ = ["DataSet", "converted"]


@dataclass(frozen=True)
class DataSet:
    """A classification data set in memory.

    Attributes:
        name: as on the command line.
        train_inputs: standardised images, float32, shape ``(n, C, H, W)``; one's own may have any shape ``(n, ...)``.
        train_targets: class numbers, int64, shape ``(n,)``.
        test_inputs: as ``train_inputs``.
        test_targets: as ``train_targets``.
        classes: number of classes; what counts like an integer, such as ``train_targets.max() + 1``, becomes one.
        augmentable: natural images, for which padded crops and flips keep the class.

    Raises:
        InputError: a name that is no text, a number of classes that is none.
    """

    name: str
    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: int
    augmentable: bool

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"the name of the data set is {self.name!r:.60}; give text")
        try:
            object.__setattr__(self, "classes", int(operator.index(self.classes)))  # as JSON and sizes need it
        except TypeError:
            raise InputError(f"{self.name} has classes = {self.classes!r:.60}; give a whole number") from None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, ``(C, H, W)`` of an image."""
        return tuple(self.train_inputs.shape[1:])


def converted(inputs: Tensor, dtype: torch.dtype) -> Tensor:
    """Inputs with numbers of another type; those that number something, such as words, stay.

    Example:
        >>> converted(torch.ones(1), torch.float64), converted(torch.tensor([7]), torch.float64)
        (tensor([1.], dtype=torch.float64), tensor([7]))
    """
    return inputs.to(dtype) if inputs.is_floating_point() else inputs
