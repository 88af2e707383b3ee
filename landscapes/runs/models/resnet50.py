"""ResNet-50 for small images."""

from typing import TYPE_CHECKING

from ..registries import MODELS, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["resnet50"]


@MODELS.register("resnet50", order=4)
def resnet50(shape: Shape, classes: int) -> "nn.Module":
    """Torchvision's, with the CIFAR stem."""
    from ..small_image_resnet import small_image_resnet  # torchvision takes seconds to import

    return small_image_resnet("resnet50", shape, classes)
