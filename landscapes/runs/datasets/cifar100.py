"""Photographs of a hundred classes, 32 x 32 pixels."""

from ..registries import DATA
from ..torchvision_source import TorchvisionSource

DATA.register("cifar100", order=4)(
    TorchvisionSource(
        "CIFAR100",
        mean=(0.5071, 0.4866, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        classes=100,
        augmentable=True,
        shape=(3, 32, 32),
        examples=50_000,
    )
)
