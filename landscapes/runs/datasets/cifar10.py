"""Photographs of ten classes, 32 x 32 pixels."""

from ..registries import DATA
from ..torchvision_source import TorchvisionSource

DATA.register("cifar10", order=3)(
    TorchvisionSource(
        "CIFAR10",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        augmentable=True,
        shape=(3, 32, 32),
        examples=50_000,
    )
)
