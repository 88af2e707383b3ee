"""Handwritten digits of 28 x 28 pixels."""

from ..registries import DATA
from ..torchvision_source import TorchvisionSource

DATA.register("mnist", order=1)(
    TorchvisionSource("MNIST", mean=(0.1307,), std=(0.3081,), shape=(1, 28, 28), examples=60_000)
)
