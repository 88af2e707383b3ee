"""Schedules: positive functions of time that a recursion's learning rate or radius is multiplied by."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from ...ground.errors import InputError
from ...landscapes.analytic.formula_text import read_formula

__all__ = ["Schedule", "cosine"]

_TIME = sympy.Symbol("t", real=True)


@dataclass(frozen=True)
class Schedule:
    """A positive, smooth function of time ``t``, the SDE's: that of the ``n``-th step is ``n`` times the effective rate.

    Args:
        formula: in ``t``, such as ``(1 + cos(pi*t/2))/2``, up to the horizon.

    Raises:
        InputError: no formula of ``t``, or one without a derivative.

    Example:
        >>> s = Schedule("(3 + cos(pi*t))/4")
        >>> s(0.0), s.derivative(0.5)
        (1.0, -0.7853981633974483)
    """

    formula: str

    def __post_init__(self) -> None:
        expression = self.expression
        if expression.atoms(sympy.sign, sympy.Abs, sympy.Piecewise, sympy.Heaviside):
            raise InputError(
                f"the schedule {self.formula} has no derivative where a sign, an absolute value or a step changes; write "
                "a smooth function of t, such as (1 + cos(pi*t))/2, or derive each stage by itself"
            )

    @cached_property
    def expression(self) -> sympy.Expr:
        return read_formula(self.formula, {"t": _TIME})

    def expressions(self, most: int = 2) -> list[sympy.Expr]:
        """The function and its first derivatives, in the symbol ``t``."""
        return [sympy.diff(self.expression, _TIME, k) for k in range(most + 1)]

    @cached_property
    def _compiled(self) -> Callable[[Any], Any]:
        return sympy.lambdify([_TIME], self.expressions(1), "math")  # type: ignore[no-any-return]

    def __call__(self, t: float) -> float:
        return float(self._compiled(t)[0])

    def derivative(self, t: float) -> float:
        """``ds/dt``."""
        return float(self._compiled(t)[1])


def cosine(horizon: Any, least: Any = 0) -> Schedule:
    """From 1 at time 0 to ``least`` at the horizon, as half a cosine wave.

    Example:
        >>> cosine(2)(1.0)
        0.5
    """
    return Schedule(f"({least}) + (1 - ({least}))*(1 + cos(pi*t/({horizon})))/2")
