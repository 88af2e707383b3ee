"""Articles of clothing, 28 x 28 pixels."""

from ..registries import DATA
from ..torchvision_source import TorchvisionSource

DATA.register("fashion-mnist", order=2)(
    TorchvisionSource(
        "FashionMNIST", mean=(0.2860,), std=(0.3530,), augmentable=True, shape=(1, 28, 28), examples=60_000
    )
)
