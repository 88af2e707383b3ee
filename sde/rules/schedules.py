"""Schedules: positive functions of time that a recursion's learning rate or radius is multiplied by."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...ground.errors import InputError

if TYPE_CHECKING:
    import sympy

__all__ = ["Schedule", "cosine"]

_ROUNDING = 1e-9  # of a learning rate's factor that ends at 0


@dataclass(frozen=True)
class Schedule:
    """A positive, smooth function of time ``t``, the SDE's: the ``n``-th step is at ``n`` times the effective rate.

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
        import sympy  # here, since a derivation without schedules needs none

        if not isinstance(self.formula, str):
            raise InputError(f"the schedule is {self.formula!r}; give its formula in t as text, e.g. '1 - t/2'")
        expression = self.expression
        if expression.atoms(sympy.sign, sympy.Abs, sympy.Piecewise, sympy.Heaviside):
            raise InputError(
                f"the schedule {self.formula} has no derivative where a sign, an absolute value or a step changes; "
                "write a smooth function of t, such as (1 + cos(pi*t))/2, or derive each stage by itself"
            )
        if expression == 0:
            raise InputError(f"the schedule {self.formula} is 0; give a positive function of t")
        self._at(0.0)

    def __reduce__(self) -> tuple[Any, ...]:
        """What is compiled stays behind when it goes to another process."""
        return Schedule, (self.formula,)

    @cached_property
    def expression(self) -> "sympy.Expr":
        """The formula, in the symbol :attr:`time`."""
        from ...landscapes.analytic.formula_text import read_formula

        return read_formula(self.formula, {"t": self.time})

    @cached_property
    def time(self) -> "sympy.Symbol":
        """The symbol ``t``."""
        import sympy

        return sympy.Symbol("t", real=True)

    def expressions(self, most: int = 2) -> "list[sympy.Expr]":
        """The function and its first derivatives, in the symbol :attr:`time`."""
        return [self.expression.diff(self.time, k) if k else self.expression for k in range(most + 1)]

    def compiled(self, library: Any) -> Callable[[Any], Any]:
        """A function of ``t`` to the schedule and its derivative, in a library that sympy knows, such as ``mpmath``."""
        import sympy

        return sympy.lambdify([self.time], self.expressions(1), library)  # type: ignore[no-any-return]

    @cached_property
    def _compiled(self) -> Callable[[Any], Any]:
        return self.compiled("math")

    def _at(self, t: float) -> tuple[float, float]:
        """Value and derivative."""
        try:
            value, slope = (float(found) for found in self._compiled(t))
        except (ArithmeticError, TypeError, ValueError):
            value = slope = math.nan
        if not (math.isfinite(value) and math.isfinite(slope)):
            raise InputError(
                f"the schedule {self.formula} has no value or no derivative at t = {t}; give a function of t that is "
                "smooth from 0 to the horizon"
            )
        if -_ROUNDING < value < 0:
            value = 0.0
        if value < 0:
            raise InputError(
                f"the schedule {self.formula} is {value:g} at t = {t:g}; give a function of t that is positive from 0 "
                "to the horizon"
            )
        return value, slope

    def __call__(self, t: float) -> float:
        """Its value at a time."""
        return self._at(t)[0]

    def derivative(self, t: float) -> float:
        """``ds/dt``."""
        return self._at(t)[1]


def cosine(horizon: Any, least: Any = 0) -> Schedule:
    """From 1 at time 0 to ``least`` at the horizon, as half a cosine wave.

    Example:
        >>> cosine(2)(1.0)
        0.5
    """
    return Schedule(f"({least}) + (1 - ({least}))*(1 + cos(pi*t/({horizon})))/2")
