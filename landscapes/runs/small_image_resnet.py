"""Torchvision's ResNets for images of some 32 pixels."""

from torch import nn
from torchvision.models import get_model

from .registries import Shape

__all__ = ["small_image_resnet"]


def small_image_resnet(name: str, shape: Shape, classes: int) -> nn.Module:
    """Torchvision's ResNet with the CIFAR stem: a 3x3 convolution of stride 1 and no max pooling."""
    network: nn.Module = get_model(name, weights=None, num_classes=classes)
    network.conv1 = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()
    return network
