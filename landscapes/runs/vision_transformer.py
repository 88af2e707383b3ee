"""Torchvision's vision transformer for images of any size."""

from torch import Tensor, nn
from torchvision.models import VisionTransformer, get_model

__all__ = ["ColouredInput", "ImageNetInput", "small_transformer", "vision_transformer"]


class ImageNetInput(nn.Module):
    """Images of any size and one or three channels, as an ImageNet transformer expects them."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, images: Tensor) -> Tensor:
        """Outputs for images of shape ``(n, C, H, W)``."""
        images = nn.functional.interpolate(images, (224, 224), mode="bilinear", antialias=True)
        outputs: Tensor = self.transformer(images.expand(-1, 3, -1, -1))
        return outputs


def vision_transformer(name: str, classes: int) -> nn.Module:
    """A transformer of torchvision, freshly initialised, behind a resize to 224 pixels."""
    return ImageNetInput(get_model(name, weights=None, num_classes=classes))


class ColouredInput(nn.Module):
    """Images of one channel or three as three."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, images: Tensor) -> Tensor:
        """Outputs for images of shape ``(n, C, H, W)``."""
        outputs: Tensor = self.transformer(images.expand(-1, 3, -1, -1))
        return outputs


def small_transformer(side: int, patch: int, classes: int) -> nn.Module:
    """Four layers of width 64 over square patches of square images."""
    return ColouredInput(VisionTransformer(side, patch, 4, 4, 64, 128, num_classes=classes))
