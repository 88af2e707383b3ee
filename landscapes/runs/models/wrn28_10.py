"""The wide ResNet of depth 28 and width 10."""

from typing import TYPE_CHECKING

from ..registries import MODELS, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["wrn28_10"]


@MODELS.register("wrn28-10", order=5)
def wrn28_10(shape: Shape, classes: int) -> "nn.Module":
    """That of Zagoruyko and Komodakis, 36.5 million parameters."""
    from ..wide_resnet import WideResNet

    return WideResNet(shape[0], classes, depth=28, width=10)
