"""A convolutional network of four layers."""

from typing import TYPE_CHECKING

from ..registries import MODELS, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["cnn4"]


@MODELS.register("cnn4", order=2)
def cnn4(shape: Shape, classes: int) -> "nn.Module":
    """Two convolutions and two linear layers, as in LeNet; GELU and average pooling, smooth everywhere.

    Small: an epoch of MNIST takes seconds on one core.
    """
    from torch import nn

    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (height // 4) * (width // 4), 128),
        nn.GELU(),
        nn.Linear(128, classes),
    )
