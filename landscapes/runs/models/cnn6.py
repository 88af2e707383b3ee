"""A convolutional network of six layers."""

from typing import TYPE_CHECKING

from ..registries import MODELS, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["cnn6"]


@MODELS.register("cnn6", order=2)
def cnn6(shape: Shape, classes: int) -> "nn.Module":
    """Four convolutions and two linear layers (ours: GELU and average pooling, smooth everywhere)."""
    from torch import nn

    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (height // 4) * (width // 4), 128),
        nn.GELU(),
        nn.Linear(128, classes),
    )
