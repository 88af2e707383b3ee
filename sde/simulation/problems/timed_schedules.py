"""The schedules of a recursion as functions of a time that is a tensor, as compiled kernels have it."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ....landscapes.analytic.formula import compile_torch
from ...rules.recursion import Recursion
from ...rules.rule import Rule

__all__ = ["timed_schedules"]

_ROUNDING = 1e-5  # also of float32, of a factor that ends at 0


def timed_schedules(rule: Rule | Recursion) -> Callable[[Tensor], Mapping[str, Tensor]]:
    """A function of a time to every schedule and its derivative, shape ``(1,)``, by the names that an SDE has.

    A schedule that is negative, which no learning rate is, becomes NaN, so that paths of it are not taken for numbers.

    Args:
        rule: whose schedules; a rule without memory has none.

    Example:
        >>> from eigensam.sde.rules.schedules import Schedule
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> decaying = {"s": Schedule("1/(1 + t)")}
        >>> sgd = Recursion("sgd", parse_statements("x = x - eta*s*g", ["s"]), schedules=decaying)
        >>> {name: value.tolist() for name, value in timed_schedules(sgd)(torch.tensor(1.0)).items()}
        {'s': [0.5], "s'": [-0.25]}
    """
    schedules = rule.schedules if isinstance(rule, Recursion) else {}
    compiled = {name: compile_torch([each.time], each.expressions(1)) for name, each in schedules.items()}

    def at(t: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, function in compiled.items():
            for key, value in zip((name, f"{name}'"), function(t), strict=True):
                number = value if isinstance(value, Tensor) else torch.full_like(t, float(value))
                found[key] = number.to(t.dtype).reshape(1)
            found[name] = torch.where(found[name] < -_ROUNDING, math.nan, found[name].clamp(min=0))
        return found

    return at
