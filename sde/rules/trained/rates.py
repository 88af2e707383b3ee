"""Schedules of the learning rate of training runs as functions of the SDE's time; or why one has no SDE."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from ....ground.errors import InputError
from ..momentum import exact
from ..schedules import Schedule, cosine

__all__ = ["RATES", "trained_schedule"]

_STAGES = "derive each stage by itself, as a run of constant rate"


def _constant(own: Mapping[str, Any], epochs: int, horizon: Fraction) -> str:
    return "1"


def _cosine(own: Mapping[str, Any], epochs: int, horizon: Fraction) -> str:
    return cosine(horizon, exact(own["final"], "final")).formula


def _step(own: Mapping[str, Any], epochs: int, horizon: Fraction) -> str:
    reached = [int(text) for text in str(own["milestones"]).split(",") if text.strip() and int(text) < epochs]
    if reached:
        raise InputError(
            f"the learning rate jumps after {', '.join(map(str, reached))} epochs, where no SDE holds across: {_STAGES}"
        )
    return "1"


RATES: dict[str, Callable[[Mapping[str, Any], int, Fraction], str]] = {
    "constant": _constant,
    "cosine": _cosine,
    "step": _step,
}
"""By the name of the schedule: its settings, the epochs and their time to a formula in ``t``."""


def trained_schedule(
    own: Mapping[str, Any], warmup_epochs: Any, epochs: int, steps: int, rate: Fraction
) -> Schedule | None:
    """What the learning rate is multiplied by at time ``t``; None: nothing.

    Args:
        own: the schedule's group of a run's settings.
        warmup_epochs: in which the rate rises linearly besides.
        epochs: of the whole training.
        steps: of an epoch.
        rate: the time of one step.

    Raises:
        InputError: a schedule that jumps or has a kink, or that is not known.

    Example:
        >>> print(trained_schedule({"name": "cosine", "final": 0.0}, 0, 10, 4, Fraction(1)).formula)
        (0) + (1 - (0))*(1 + cos(pi*t/(40)))/2
    """
    name = own.get("name")
    if name not in RATES:
        raise InputError(f"schedule {name!r:.60} is not known as a function of time; known are {', '.join(RATES)}")
    try:
        formula = RATES[name](own, epochs, epochs * steps * rate)
    except KeyError as error:
        raise InputError(
            f"the settings of schedule '{name}' have no {error}; give those of a run's settings.json"
        ) from None
    ramp = exact(warmup_epochs, "warmup_epochs") * steps  # step n has the factor (n + 1)/ramp, while that is below 1
    if ramp > 1:
        if ramp < epochs * steps:
            raise InputError(
                f"the learning rate stops rising after {float(ramp / steps):g} epochs of warm-up, a kink, where no SDE "
                "of order 2 holds across: derive what follows by itself, as a run without warm-up"
            )
        formula = f"({formula})*(t/({rate}) + 1)/({ramp})"
    return None if formula == "1" else Schedule(formula)
