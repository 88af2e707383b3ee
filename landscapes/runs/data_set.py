"""A classification data set in memory."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["DataSet"]


@dataclass(frozen=True)
class DataSet:
    """A classification data set in memory.

    Attributes:
        name: as on the command line.
        train_inputs: standardised images, float32, shape ``(n, C, H, W)``; one's own may have any shape ``(n, ...)``.
        train_targets: class numbers, int64, shape ``(n,)``.
        test_inputs: as ``train_inputs``.
        test_targets: as ``train_targets``.
        classes: number of classes.
        augmentable: natural images, for which padded crops and flips keep the class.
    """

    name: str
    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: int
    augmentable: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, ``(C, H, W)`` of an image."""
        return tuple(self.train_inputs.shape[1:])
