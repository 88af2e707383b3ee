"""Figure 3 of the paper: SAM beside its SDEs on a convolutional network, with distances."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..registry import ITEMS
from ..side_by_side import SideBySide

if TYPE_CHECKING:
    from ..measurements.network_comparison import Network

__all__ = ["Figure3"]


def _network() -> "Network":
    from ..measurements.network_comparison import Network

    return Network(
        data="cifar10",
        channels=(16,),
        hidden=(),
        pool=4,
        scale=0.8,
        minibatches=5,
        batch_size=80,
        test=500,
        steps=60,
        seeds=10,
        looks=12,
    )


@ITEMS.register("figure3", order=9)
@dataclass(frozen=True)
class Figure3(SideBySide):
    """A convolution and a linear layer on the first of CIFAR-10's images, averaged to 8 x 8 pixels.

    With two convolutions and 16 x 16 pixels nothing could be told apart in so few steps, in which the loss hardly fell.
    """

    label = "Figure 3"
    title = "Figure 3: SAM and its SDEs on a convolutional network"
    network: "Network" = field(default_factory=_network)
