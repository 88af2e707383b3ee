"""Figure 2 of the paper: SAM beside its SDEs on a fully connected network, with distances."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..registry import ITEMS
from ..side_by_side import SideBySide

if TYPE_CHECKING:
    from ..measurements.network_comparison import Network

__all__ = ["Figure2"]


def _network() -> "Network":
    from ..measurements.network_comparison import Network

    return Network(
        data="mnist",
        hidden=(64,),
        pool=2,
        scale=0.5,
        minibatches=5,
        batch_size=100,
        test=1000,
        steps=100,
        seeds=8,
        looks=20,
    )


@ITEMS.register("figure2", order=8)
@dataclass(frozen=True)
class Figure2(SideBySide):
    """A perceptron with one hidden layer on MNIST's images of 14 x 14 pixels."""

    label = "Figure 2"
    title = "Figure 2: SAM and its SDEs on a fully connected network"
    network: "Network" = field(default_factory=_network)
