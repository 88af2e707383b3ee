"""What a sample says of a posterior: all that a PAC-Bayes inequality needs to know of it."""

import math
from dataclasses import dataclass

from ...ground.errors import InputError
from ..rounding.real import real_number
from ..rounding.whole import whole_number

__all__ = ["GibbsSample"]


@dataclass(frozen=True)
class GibbsSample:
    """A posterior ``Q`` on ``n`` independent examples whose losses lie in [0, 1].

    Numbers of other types are taken, and rounded up to floats.

    Args:
        risk: ``E_Q`` of the mean loss, or an upper value of it.
        kl: ``KL(Q || P)`` in nats, or an upper value of it; finite. ``P`` must not depend on these examples.
        examples: ``n``, from 1 to 2^53.
        second_moment: ``E_Q`` of the mean squared loss, or an upper value of it. For a loss of 0 or 1 it is the
            risk, for one in [0, 1] it is never above it: None, or a larger value, counts as the risk.

    Raises:
        InputError: a number out of its range, or not a real number.

    Example:
        >>> GibbsSample(risk=0.02, kl=3, examples=1000)
        GibbsSample(risk=0.02, kl=3.0, examples=1000, second_moment=None)
    """

    risk: float
    kl: float
    examples: int
    second_moment: float | None = None

    def __post_init__(self) -> None:
        risk = _share("risk", self.risk)
        second = None if self.second_moment is None else _share("second_moment", self.second_moment)
        kl = real_number("kl", self.kl, "up")
        if not (real_number("kl", self.kl, "down") >= 0 and kl < math.inf):
            raise InputError(
                f"kl = {self.kl} is not a divergence in nats: need a finite number that is at least 0; where it is "
                f"infinite, take a prior whose support holds the posterior's"
            )
        examples = whole_number("examples", self.examples, least=1)
        if examples > 2**53:
            raise InputError(f"examples = {examples} is more than 2^53; give the number of examples in the sample")
        checked = {"risk": risk, "kl": kl, "examples": examples, "second_moment": second}
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def _share(name: str, value: float) -> float:
    if not (real_number(name, value, "down") >= 0 and real_number(name, value, "up") <= 1):  # also refuses NaN
        raise InputError(
            f"{name} = {value} does not lie in [0, 1]; divide the loss by its upper bound, or bound it, first"
        )
    return real_number(name, value, "up")
