"""A small vision transformer for small images."""

from typing import TYPE_CHECKING

from ....ground.errors import InputError
from ..registries import MODELS, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["vit_small"]

_MOST = 16  # patches to a side: attention looks at all pairs of patches, and a side without divisors has many


@MODELS.register("vit-small", order=5.5)
def vit_small(shape: Shape, classes: int) -> "nn.Module":
    """Torchvision's vision transformer: 4 layers of width 64 with 4 heads, over about 8 x 8 patches (ours).

    There are about 1.4e5 parameters. Nothing is resized, and there is no dropout, so every step is the same function.
    """
    from ..vision_transformer import small_transformer  # torchvision takes seconds to import

    _, height, width = shape
    patch = max((size for size in range(1, height + 1) if height % size == 0 and height >= 7 * size), default=0)
    if height != width or not patch or height > _MOST * patch:
        raise InputError(
            f"vit-small cuts square images into 7 x 7 to {_MOST} x {_MOST} equal patches, which those of shape {shape} "
            "cannot be; choose cnn6, or pad them"
        )
    return small_transformer(height, patch, classes)
