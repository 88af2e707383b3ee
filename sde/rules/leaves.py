"""What a recursion's expressions hold beside minibatches' gradients: blocks of its state, and schedules."""

from dataclasses import dataclass

from .names import check_name
from .nodes import Scalar, Vector
from .style import Style

__all__ = ["POSITION", "Scheduled", "State"]

POSITION = "x"
"""The name of the block that a recursion always has."""


@dataclass(frozen=True, repr=False)
class State(Vector):
    """A block of the state: the position ``x``, or a memory such as a momentum buffer."""

    name: str

    def __post_init__(self) -> None:
        if self.name != POSITION:
            check_name(self.name, "state")

    def _written(self, style: Style) -> str:
        return style.state(self.name)


@dataclass(frozen=True, repr=False)
class Scheduled(Scalar):
    """A positive number that is a function of time, such as a schedule of the learning rate."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name, "schedule")

    def _written(self, style: Style) -> str:
        return style.state(self.name)
