"""Networks of two small convolutions, plain and with batch norm: milliseconds for a step on one core."""

from typing import TYPE_CHECKING

from ....ground.errors import InputError
from ..registries import MODELS, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["small_cnn", "small_cnn_bn"]

_CHANNELS = (8, 16)


@MODELS.register("cnn2", order=1.3)
def small_cnn(shape: Shape, classes: int) -> "nn.Module":
    """Convolutions of 8 and 16 channels, each with GELU and pooling by 2, and a linear layer."""
    return _convolutions(shape, classes, normalised=False)


@MODELS.register("cnn2-bn", order=1.4)
def small_cnn_bn(shape: Shape, classes: int) -> "nn.Module":
    """The same with batch norm after each convolution."""
    return _convolutions(shape, classes, normalised=True)


def _convolutions(shape: Shape, classes: int, *, normalised: bool) -> "nn.Module":
    from torch import nn

    depth, height, width = shape
    if min(height, width) < 2 ** len(_CHANNELS):
        raise InputError(f"cnn2 halves images twice, found shape {shape}; give at least 4 x 4 pixels, or choose mlp32")
    layers: list[nn.Module] = []
    for channels in _CHANNELS:
        norm = [nn.BatchNorm2d(channels)] if normalised else []
        layers += [nn.Conv2d(depth, channels, 3, padding=1), *norm, nn.GELU(), nn.AvgPool2d(2)]
        depth, height, width = channels, height // 2, width // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(depth * height * width, classes))
