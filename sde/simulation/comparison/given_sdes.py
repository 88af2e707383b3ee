"""Whether what is to be compared with a rule are SDEs of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ....ground.errors import InputError
from ...derivation.derived_sde import SDE
from ...rules.bindings import Values
from ...rules.recursion import Recursion
from ...rules.rule import Rule

__all__ = ["Control", "GivenSDE", "check_sampling", "check_sdes"]


@dataclass(frozen=True)
class Control:
    """An SDE of *another* rule, run beside on purpose, such as SAM's beside SAM with momentum.

    It has the learning rate with which both have the same effective rate, the same radius, and it starts where the
    training starts.

    Args:
        sde: of the other rule.

    Raises:
        InputError: something else.
    """

    sde: SDE

    def __post_init__(self) -> None:
        if not isinstance(self.sde, SDE):
            raise InputError(f"a control is of type {type(self.sde).__name__}; give an SDE: Control(derive(...))")

    def learning_rate(self, eta: float, rate: Fraction) -> float:
        """That of the control, where the rule has ``eta`` and the effective rate ``rate * eta``."""
        return float(rate / self.sde.rate) * eta

    def own(self, values: Values | None) -> dict[str, object]:
        """Values of the symbols that the other rule has, too."""
        names = {*self.sde.rule.parameters, *self.sde.rule.directions}
        return {name: value for name, value in (values or {}).items() if name in names}


GivenSDE = SDE | Control
"""Of the rule, or of another one on purpose."""


def check_sdes(rule: Rule | Recursion, sdes: Mapping[str, GivenSDE]) -> None:
    """Refuse anything but SDEs of the rule, and controls, by name.

    Raises:
        InputError: what was found.
    """
    if not isinstance(sdes, Mapping):
        raise InputError(f"SDEs are of type {type(sdes).__name__}; give them by name: {{'drift order 2': sde}}")
    for name, sde in sdes.items():
        if isinstance(sde, Control):
            continue
        if not isinstance(sde, SDE):
            raise InputError(f"'{name}' is of type {type(sde).__name__}; expected an SDE: derive(...), truncate(...)")
        if not isinstance(rule, Rule | Recursion) or not _same(rule, sde.rule):
            raise InputError(
                f"the SDE '{name}' is of the rule {sde.rule}; derive it of the rule that is compared, or give it as "
                "Control(sde)"
            )


def check_sampling(rule: Rule | Recursion, sampling: str) -> None:
    """Refuse a law of minibatches beside the one that a recursion has.

    Raises:
        InputError: how to give it.
    """
    if isinstance(rule, Recursion) and sampling != "independent":
        raise InputError(
            f"sampling = '{sampling}' is of rules without memory; a recursion has its own: "
            "Recursion(..., sampling=Reshuffled(4)), or --epochs on the command line"
        )


def _same(rule: Rule | Recursion, other: Rule | Recursion) -> bool:
    if isinstance(rule, Rule) or isinstance(other, Rule):
        return type(rule) is type(other) and rule.step == other.step
    names = ("step", "sampling", "distinct", "inner_steps")
    schedules = dict(rule.schedules) == dict(other.schedules)
    return schedules and all(getattr(rule, name) == getattr(other, name) for name in names)
