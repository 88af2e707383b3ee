"""From a rule to its expansion in ``rho``: Taylor's formula through nested gradients, norms and signs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

from ...ground.errors import InputError
from ..algebra.effort import limited_effort
from ..algebra.series import Series, partitions
from ..algebra.states import averaged
from ..algebra.sums import Sum
from ..algebra.trees import GAMMA, LOSS
from ..rules.leaves import Scheduled, State
from ..rules.nodes import (
    Add,
    Derivative,
    Direction,
    Expression,
    Inner,
    Loss,
    Mean,
    Multiply,
    Norm,
    Number,
    Parameter,
    Power,
    Sign,
)
from ..rules.rule import Rule
from ..rules.traversal import walk

__all__ = ["Grading", "expand", "expand_expression", "poles"]

ETA = Parameter("eta")

_MOST_POLES = 12
"""Ours: each division by rho asks for one more power, and one more derivative, of what is divided."""


@dataclass(frozen=True)
class Grading:
    """Which power of the series' variable stands for ``rho`` and for ``eta``, whose powers are told apart by a symbol.

    With ``rho = c eta^{p/q}`` their weights are ``p`` and ``q``: a series is then cut by the true order in ``eta``.

    Attributes:
        rho: the weight of ``rho``.
        eta: the weight of ``eta``; None where it may not occur.
        draws: label of a minibatch to its number in sums.
    """

    rho: int = 1
    eta: int | None = None
    draws: Mapping[str, int] = field(default_factory=lambda: {"": GAMMA})


@limited_effort()
def expand(rule: Rule, order: int) -> Series:
    """``h = -step`` as ``sum_k h_k rho^k``, exact up to ``rho^order``.

    ``f_m(x + rho d_1 + rho^2 d_2 + ...)`` is expanded by Taylor's formula, a norm by the binomial series about its
    value at ``rho = 0``; a sign is constant where its argument does not vanish.

    Raises:
        InputError: something that the rule divides by, or a sign's argument, vanishes at ``rho = 0``; a gradient's
            shift does not vanish there; or the step has a pole.

    Example:
        >>> from eigensam.sde import expand, find_rule
        >>> expand(find_rule("sam"), 2)
        Series(-g - rho H[g]/|g| - 1/2 rho^2 T[g,g]/|g|^2 + O(rho^3))
    """
    if order < 0:
        raise InputError(f"expansion to rho^{order}; give at least 0")
    try:
        series = expand_expression(rule.step, order + poles(rule.step), Grading())
    except InputError as error:
        raise InputError(f"rule '{rule.name}': {error}") from None
    if series.lowest < 0:
        raise InputError(
            f"rule '{rule.name}': the step grows like rho^{series.lowest} as rho -> 0; multiply by powers of rho"
        )
    if series.order < order:
        raise InputError(f"rule '{rule.name}': the expansion ends at rho^{series.order}; simplify its powers of rho")
    return series.truncated(order).map(lambda c: -c)


def poles(expression: Expression) -> int:
    """How many powers of ``rho`` it divides by in all: so many more have to be expanded.

    Raises:
        InputError: too many.
    """
    divided = [n for n in walk(expression) if isinstance(n, Power) and n.base == Parameter("rho") and n.exponent < 0]
    found = sum(math.ceil(-node.exponent) for node in divided)
    if found > _MOST_POLES:
        raise InputError(f"it divides by rho^{found} in all; at most rho^{_MOST_POLES} is expanded")
    return found


def expand_expression(expression: Expression, order: int, grading: Grading) -> Series:
    """An expression as a series, exact up to a power of its variable; see :class:`Grading`."""
    cache: dict[tuple[int, int], Series] = {}

    def expanded(node: Expression, order: int) -> Series:
        key = id(node), order  # nested rules share their parts: comparing them by value would expand the sharing
        if key not in cache:
            cache[key] = _expanded(node, order, grading, lambda part, less=0: expanded(part, order - less))
        return cache[key]

    return expanded(expression, order)


def _weight(factors: tuple[Expression, ...], grading: Grading) -> int:
    """Of the powers of ``eta`` among factors: what they multiply needs to be known to so many powers less."""
    powers = [Fraction(1) for part in factors if part == ETA]
    powers += [part.exponent for part in factors if isinstance(part, Power) and part.base == ETA]
    return (grading.eta or 0) * sum(int(power) for power in powers if power > 0)


def _expanded(node: Expression, order: int, grading: Grading, of: Callable[..., Series]) -> Series:
    match node:
        case Number(value):
            return Series({0: Sum.number(value)}, order).truncated(order)
        case Parameter("rho"):
            return Series({grading.rho: Sum.number(1)}, order).truncated(order)
        case Parameter("eta") if grading.eta is not None:
            return Series({grading.eta: Sum.parameter("eta")}, order).truncated(order)
        case Power(Parameter("eta"), exponent) if grading.eta is not None:
            if exponent.denominator > 1 or exponent < 0:
                raise InputError(f"{node} is not a whole power of eta; take whole powers, at least 1")
            return Series({grading.eta * int(exponent): Sum.parameter("eta").power(exponent)}, order).truncated(order)
        case State(name):
            return Series({0: Sum.state(name)}, order)
        case Scheduled(name):
            return Series({0: Sum.parameter(name)}, order)
        case Parameter(name):
            return Series({0: Sum.parameter(name)}, order)
        case Direction(name):
            return Series({0: Sum.direction(name)}, order)
        case Add(parts):
            result = of(parts[0])
            for part in parts[1:]:
                result = result + of(part)
            return result
        case Multiply(parts):
            less = min(_weight(parts, grading), order + 1)
            result = of(parts[-1], less if parts[-1] != ETA else 0)
            for part in reversed(parts[:-1]):
                result = of(part) * result
            return result.truncated(order)
        case Mean(inside):
            return of(inside).map(lambda c: averaged(c, grading.draws.values()))
        case Inner(left, right):
            return of(left).inner(of(right))
        case Norm(vector):
            series = of(vector)
            if series.lowest > 0:
                raise InputError(
                    f"{node} vanishes at rho = 0, so the rule has no expansion there; take rho out of the norm, or "
                    "normalise by a vector that does not vanish, such as g"
                )
            return series.inner(series).power(Fraction(1, 2))
        case Power(Parameter("rho"), exponent) if exponent.denominator == 1:
            return Series({grading.rho * int(exponent): Sum.number(1)}, order).truncated(order)
        case Power(Parameter("rho"), exponent):
            raise InputError(f"{node} is not a whole power of rho, so it has no expansion; take whole powers")
        case Power(base, exponent):
            series = of(base)
            try:
                return series.power(exponent)
            except InputError as error:
                raise InputError(
                    f"{base}, to the power {exponent}, {error}; so the rule has no expansion there, change what it "
                    "divides by"
                ) from None
        case Sign(inside):
            series = of(inside)
            if series.lowest != 0:
                raise InputError(
                    f"{node}: its argument vanishes at rho = 0 or has a pole there; take the sign of something that "
                    "has neither"
                )
            return Series({0: series[0].sign()}, series.order)
        case Loss(shift, draw):
            sample = grading.draws[draw]
            return _taylor(shift, (), order, of, lambda *a: Sum.full_contraction((LOSS, sample, ()), *a))
        case Derivative(shift, arguments, draw):
            return _taylor(shift, arguments, order, of, partial(Sum.derivative, sample=grading.draws[draw]))
    raise TypeError(f"{type(node).__name__} has no expansion")


def _taylor(
    shift: Expression | None,
    arguments: tuple[Expression, ...],
    order: int,
    of: Callable[..., Series],
    contraction: Callable[..., Sum],
) -> Series:
    """``D^k f(x + shift)[arguments]`` as ``sum_j 1/j! D^{k+j} f(x)[shift^j, arguments]``, collected in ``rho``."""
    given = [of(argument) for argument in arguments]
    result = _contracted(contraction, [], given, order)
    if shift is None:
        return result
    moved = of(shift)
    if moved.lowest <= min(0, moved.order):
        raise InputError(
            f"the gradient's shift {shift} does not vanish at rho = 0, so there is nothing to expand about; multiply "
            "it by rho"
        )
    present = sorted(power for power, c in moved.coefficients.items() if c)
    for power in range(1, order + 1):
        for parts in partitions(power, present):
            vectors: list[Sum] = []
            weight = Fraction(1)
            for part, times in parts.items():
                vectors += [moved[part]] * times
                weight /= math.factorial(times)
            term = _contracted(contraction, vectors, given, order)
            result = result + Series({power: Sum.number(weight)}, order + power) * term
    return result.truncated(min(moved.order, result.order))


def _contracted(contraction: Callable[..., Sum], vectors: list[Sum], given: list[Series], order: int) -> Series:
    """A multilinear form of fixed vectors and of series."""
    result = {0: [list[Sum]()]}
    known = order
    for series in given:
        known = min(known, series.order)
        result = {
            power: [[*chosen, series[k]] for k in range(power + 1) for chosen in result.get(power - k, []) if series[k]]
            for power in range(order + 1)
        }
        if series.lowest < 0:
            raise InputError("a derivative's argument has a pole at rho = 0; multiply it by a power of rho")
    terms: dict[int, Sum] = {}
    for power, choices in result.items():
        for chosen in choices:
            terms[power] = terms.get(power, Sum()) + contraction(*vectors, *chosen)
    return Series(terms, known).truncated(known)
