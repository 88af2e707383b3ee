"""Momentum and weight decay as ``torch.optim.SGD`` steps them, around any step of the language."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any

from ...ground.errors import InputError
from ...ground.exact_numbers import exact_number
from .language import eta, schedule, state
from .nodes import Scalar, Vector
from .recursion import Recursion
from .rule import Rule
from .schedules import Schedule

__all__ = ["SGDStep", "exact", "heavy_ball", "step_of"]

BUFFER, RATE, ALONG = "m", "s", "q"
"""Names of the momentum buffer, of the schedule of the learning rate, and of what a step of Nesterov's is along."""


def exact(value: Any, name: str) -> Fraction:
    """A number as it is written: ``0.9`` is 9/10.

    Raises:
        InputError: no number.

    Example:
        >>> exact(0.9, "momentum"), exact("1/3", "momentum")
        (Fraction(9, 10), Fraction(1, 3))
    """
    if isinstance(value, Rational) and not isinstance(value, bool):
        return Fraction(int(value.numerator), int(value.denominator))
    try:
        return exact_number(repr(float(value)) if isinstance(value, float) else value)
    except (InputError, AttributeError, TypeError):
        raise InputError(f"{name} = {value!r:.60} is not a number; give e.g. Fraction(9, 10) or 0.9") from None


def step_of(rule: "Rule | Vector") -> Vector:
    """What is subtracted, times the learning rate."""
    if isinstance(rule, Rule):
        return rule.step
    if not isinstance(rule, Vector):
        raise InputError(f"found {rule!r:.60}; expected a rule without memory, or a step such as grad(rho * unit(g))")
    return rule


@dataclass(frozen=True)
class SGDStep:
    """``m = beta m + (1 - dampening) (step + decay x)``, ``x = x - eta s m``: ``torch.optim.SGD`` along a step.

    Torch's buffer begins with the first step whole, that is, at ``m_0 = dampening/beta`` times it, not at 0; without
    dampening both are the same.

    Args:
        beta: what the buffer is multiplied by; 0: no buffer.
        dampening: the share of each step that the buffer leaves out.
        weight_decay: ``decay``, coupled: in the buffer, as SGD's; not in the ascent of a perturbation.
        decoupled: ``x = x - eta s (m + decay x)`` instead, as AdamW has it (Loshchilov & Hutter 2019).
        nesterov: step along ``step + decay x + beta m`` (Sutskever et al. 2013, as torch has it).
        schedule: of the learning rate; None: constant.
        inside: put it into the buffer, ``m = beta m + (1 - dampening) s (...)``, where torch does not have it.

    Raises:
        InputError: ``beta`` or ``dampening`` outside [0, 1), a negative decay, Nesterov's step without a buffer or with
            dampening, a schedule inside no buffer.

    Example:
        >>> from eigensam.sde.rules import grad, rho
        >>> SGDStep(beta=Fraction(9, 10), weight_decay=Fraction(1, 2000)).statements(grad(rho * grad()))
        [('m', 9*m/10 + grad(rho*g) + x/2000), ('x', x - eta*m)]
    """

    beta: Any = Fraction(9, 10)
    dampening: Any = 0
    weight_decay: Any = 0
    decoupled: bool = False
    nesterov: bool = False
    schedule: Schedule | None = None
    inside: bool = False

    def __post_init__(self) -> None:
        for name in ("beta", "dampening", "weight_decay"):
            object.__setattr__(self, name, exact(getattr(self, name), name))
        if not 0 <= self.beta < 1:
            raise InputError(f"beta = {self.beta}: the buffer would never forget; give one in [0, 1), such as 9/10")
        if not 0 <= self.dampening < 1:
            raise InputError(f"dampening = {self.dampening} must lie in [0, 1)")
        if self.weight_decay < 0:
            raise InputError(f"weight_decay = {self.weight_decay} must be at least 0")
        if self.nesterov and (not self.beta or self.dampening):
            raise InputError("nesterov needs a beta above 0 and no dampening, as in torch")
        if self.inside and (self.schedule is None or not self.beta or self.nesterov):
            raise InputError("inside needs a schedule and a buffer to put it into, not Nesterov's; leave it out")

    @property
    def rate(self) -> Fraction:
        """The effective learning rate as a multiple of ``eta``, of a step that is a gradient's at ``rho = 0``."""
        return Fraction((1 - self.dampening) / (1 - self.beta))

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """For :class:`.recursion.Recursion`."""
        return {} if self.schedule is None else {RATE: self.schedule}

    def statements(self, step: Vector) -> list[tuple[str, Vector]]:
        """Of a recursion that takes this step."""
        x, m = state("x"), state(BUFFER)
        rate: Scalar = eta if self.schedule is None else eta * schedule(RATE)
        decay = self.weight_decay * x if self.weight_decay else None
        along = step if decay is None or self.decoupled else step + decay
        aside = None if decay is None or not self.decoupled else rate * decay
        if not self.beta:
            moved = x - rate * ((1 - self.dampening) * along)
            return [("x", moved if aside is None else moved - aside)]
        before = []
        if self.nesterov:
            before, along = [(ALONG, along)], state(ALONG)
        new = along if not self.dampening else (1 - self.dampening) * along
        if self.inside:
            new = schedule(RATE) * new
        moved = x - (eta if self.inside else rate) * (along + self.beta * m if self.nesterov else m)
        return [*before, (BUFFER, self.beta * m + new), ("x", moved if aside is None else moved - aside)]


def heavy_ball(rule: "Rule | Vector", name: str = "", summary: str = "", **settings: Any) -> Recursion:
    """A rule without memory, with momentum and weight decay as ``torch.optim.SGD`` steps them.

    Args:
        rule: or its step.
        name: of the recursion; empty: the rule's with what is added to it.
        summary: where it comes from.
        **settings: those of :class:`SGDStep`.

    Raises:
        InputError: no rule without memory; settings out of range.

    Source:
        Polyak 1964; Sutskever et al. 2013; the documentation of ``torch.optim.SGD``.

    Example:
        >>> from eigensam.sde import find_rule
        >>> print(heavy_ball(find_rule("usam")))
        usam-momentum: m = 9*m/10 + grad(rho*g); x = x - eta*m
        >>> print(heavy_ball(find_rule("sgd"), nesterov=True, weight_decay=0.01).step)
        q = g + x/100; m = 9*m/10 + q; x = x - eta*(q + 9*m/10)
    """
    base = SGDStep(**settings)
    found = rule.name if isinstance(rule, Rule) else str(step_of(rule))
    return Recursion(
        name or f"{found}-momentum",
        base.statements(step_of(rule)),
        schedules=base.schedules,
        summary=summary,
        smoothness=rule.smoothness if isinstance(rule, Rule) else None,
    )
