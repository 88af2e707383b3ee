"""The vision transformer ViT-B/16."""

from typing import TYPE_CHECKING

from ..registries import MODELS, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["vit_b_16"]


@MODELS.register("vit-b-16", order=6)
def vit_b_16(shape: Shape, classes: int) -> "nn.Module":
    """Torchvision's; images are resized to 224 pixels."""
    from ..vision_transformer import vision_transformer  # torchvision takes seconds to import

    return vision_transformer("vit_b_16", classes)
