"""The learning rate falls by one factor at certain epochs."""

from dataclasses import dataclass
from fractions import Fraction

from ...ground.errors import InputError
from ...ground.settings import setting
from ..rate import Rate, register_rate

__all__ = ["StepRate"]


@register_rate("step", order=2)
@dataclass(frozen=True)
class StepRate(Rate):
    """``gamma`` to the power of the number of milestones that have been reached.

    Attributes:
        milestones: epochs after which the rate falls, as text, ``"100,150"``; a list of integers becomes that.
        gamma: what the rate is multiplied by at each (a tenth: the usual choice for residual networks).

    Raises:
        InputError: milestones that are none, or not increasing positive integers; ``gamma`` out of range.

    Example:
        >>> rate = StepRate([100, 150])
        >>> rate.milestones, [rate.factor(epoch, epochs=200) for epoch in (99, 100)]
        ('100,150', [1.0, 0.1])
    """

    extendable = True
    milestones: str = setting("", "Epochs after which the learning rate falls, such as 100,150; needed.", listed=True)
    gamma: float = setting(
        0.1,
        "What the learning rate is multiplied by at each milestone.",
        holds=lambda value: 0 < value <= 1,
        otherwise="must lie in (0, 1]",
    )

    def __post_init__(self) -> None:
        if isinstance(self.milestones, list | tuple):
            object.__setattr__(self, "milestones", ",".join(map(str, self.milestones)))
        super().__post_init__()
        object.__setattr__(self, "milestones", ",".join(map(str, self._epochs())))

    def _epochs(self) -> list[int]:
        parts = [part.strip() for part in self.milestones.split(",")]
        found = [int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) < 10]
        if len(found) < len(parts) or found != sorted(set(found)) or found[0] < 1:
            raise InputError(
                f"milestones = {self.milestones!r:.60} are not increasing epochs; give some, such as 100,150"
            )
        return found

    def factor(self, epoch: float | Fraction, epochs: int) -> float:
        """From 1 down."""
        return float(self.gamma ** sum(epoch >= milestone for milestone in self._epochs()))
