"""The networks of the paper and one small one, built for a data set's image shape and number of classes.

Torchvision takes seconds to import and is imported only where it is used.
"""

from collections.abc import Callable

from torch import Tensor, nn

from ...ground.errors import InputError
from .wide_resnet import WideResNet

__all__ = ["MODELS", "build_model"]

Shape = tuple[int, int, int]


def _mlp(shape: Shape, classes: int) -> nn.Module:
    """Two hidden layers of 288, which makes 10^5 parameters on digits. GELU keeps every derivative continuous."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * width, 288),
        nn.GELU(),
        nn.Linear(288, 288),
        nn.GELU(),
        nn.Linear(288, classes),
    )


def _cnn6(shape: Shape, classes: int) -> nn.Module:
    """Six layers: four convolutions and two linear ones (ours: GELU and average pooling, smooth everywhere)."""
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


def _small_image_resnet(name: str) -> Callable[[Shape, int], nn.Module]:
    """Torchvision's ResNet with the CIFAR stem: a 3x3 convolution of stride 1 and no max pooling."""

    def make(shape: Shape, classes: int) -> nn.Module:
        from torchvision.models import get_model

        network: nn.Module = get_model(name, weights=None, num_classes=classes)
        network.conv1 = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
        return network

    return make


class _ImageNetInput(nn.Module):
    """Images of any size and one or three channels, as an ImageNet transformer expects them."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, images: Tensor) -> Tensor:
        images = nn.functional.interpolate(images, (224, 224), mode="bilinear", antialias=True)
        outputs: Tensor = self.transformer(images.expand(-1, 3, -1, -1))
        return outputs


def _vit_b_16(shape: Shape, classes: int) -> nn.Module:
    from torchvision.models import get_model

    return _ImageNetInput(get_model("vit_b_16", weights=None, num_classes=classes))


MODELS: dict[str, Callable[[Shape, int], nn.Module]] = {
    "mlp": _mlp,
    "cnn6": _cnn6,
    "resnet18": _small_image_resnet("resnet18"),
    "resnet50": _small_image_resnet("resnet50"),
    "wrn28-10": lambda shape, classes: WideResNet(shape[0], classes, depth=28, width=10),
    "vit-b-16": _vit_b_16,
}


def build_model(name: str, shape: Shape, classes: int) -> nn.Module:
    """A freshly initialised network; seed torch before the call for a reproducible one.

    Args:
        name: a key of ``MODELS``.
        shape: ``(C, H, W)`` of one image.
        classes: number of outputs.

    Raises:
        InputError: unknown name.

    Example:
        >>> sum(p.numel() for p in build_model("mlp", (1, 8, 8), 10).parameters())
        104842
    """
    if name not in MODELS:
        raise InputError(f"unknown model '{name}'; choose one of: {', '.join(MODELS)}")
    return MODELS[name](shape, classes)
