"""What a step has of the minibatches of earlier ones, through memory: the weights that the terms of epochs need.

Up to ``eta^2`` the slow variable ``y = x + eta chi`` moves by ``eta M_gamma(y)`` and by a part that holds both the
step's own minibatch and memory, ``-eta^2 sum_i v_i (D h~_gamma) q_i``. Where memory is a weighted sum of past
increments, ``q_n = sum_l A^{l-1} B h~_{n-l}``, that is ``-eps^2 sum_l c_l (D h~_n) h~_{n-l}`` with
``c_l = v A^{l-1} B / W^2``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ....ground.errors import InputError
from ...algebra.states import degree, leaf_labels
from ...algebra.sums import Sum
from ...algebra.terms import PARAMETER, Factors
from ...algebra.trees import STATE
from ...rules.leaves import POSITION
from .effective import Effective
from .one_step import Powers

__all__ = ["memory_weights"]

_NEGLIGIBLE = Fraction(1, 10**20)
"""Of the largest weight: memory that is older changes no digit of a number in double precision."""

_MOST_BITS = 220  # of a weight's denominator, so that powers do not grow without end
_ROUNDED = 2**120  # what is longer is a multiple of 1 of so many: 36 digits
_MOST_LAGS = 50_000
"""Ours, seconds: a factor of 0.999."""


@dataclass(frozen=True)
class _Multiple:
    """A rational multiple of powers of schedules.

    Attributes:
        number: the rational.
        powers: of each schedule.
    """

    number: Fraction
    powers: Mapping[str, Fraction]


def memory_weights(effective: Effective, increments: Powers) -> Iterator[Fraction]:
    """``c_1, c_2, ...``, until the rest is negligible; nothing without memory.

    Args:
        effective: of the recursion with independent minibatches.
        increments: ``h`` in units of the effective rate, of the step's own minibatch.

    Raises:
        InputError: memory is no weighted sum of past increments, or a step uses it otherwise.
    """
    names = effective.step.fast
    if not names:
        return
    met, inputs = _met(effective, increments), {name: _input(effective, increments, name) for name in names}
    matrix = {name: _row(effective, name) for name in names}
    powers = {
        tuple(sorted((s, a.powers[s] + b.powers[s]) for s in a.powers))
        for a in met.values()
        for b in inputs.values()
        if a.number and b.number
    }
    if any(e for found in powers for _, e in found):
        raise _refusal(effective, "its weight changes with a schedule")
    current = {name: each.number for name, each in inputs.items()}
    scale, largest = effective.rate**2, Fraction(0)
    for _ in range(_MOST_LAGS):
        yield sum((met[name].number * current[name] for name in names), Fraction(0)) / scale
        size = max(abs(value) for value in current.values())
        largest = max(largest, size)
        if size <= _NEGLIGIBLE * largest:
            return
        after = {name: sum((a * current[other] for other, a in matrix[name].items()), Fraction(0)) for name in names}
        current = {name: _shortened(value) for name, value in after.items()}
    raise InputError(
        f"recursion '{effective.step.recursion.name}': memory with the factors "
        f"{', '.join(map(str, effective.step.factors.values()))} holds more than {_MOST_LAGS} steps, too many for what "
        "epochs add; give smaller factors, let it move by a multiple of eta (friction), or draw independently"
    )


def _met(effective: Effective, increments: Powers) -> dict[str, _Multiple]:
    """``v``: of each block, the multiple of ``-(D h~)[block]`` with which the step's own minibatch meets it."""
    step, names = effective.step, effective.step.fast
    total = {k: value for (a, k), value in step.moves[POSITION].items() if a == 2}
    moved = step.stepped_powers(effective.corrector[POSITION], 1, effective.rate, 1, mean=False)
    total = _sum(total, moved)
    own = effective.unaveraged[POSITION]
    for i, left in own.items():
        if any(degree(term, names) for term in left.terms):
            raise _refusal(effective, "the noise of a step depends on it")
        for j, right in effective.corrector[POSITION].items():
            total = _sum(total, {i + j: -left.along(right)})
    most = max(increments, default=0)
    found: dict[str, dict[int, dict]] = {name: {} for name in names}  # type: ignore[type-arg]  # terms of sums
    for k, value in total.items():
        fluctuating = value - step.mean(value)
        for term, c in fluctuating.terms.items():
            inside = list(leaf_labels(term, names))
            if inside and k <= most:
                if len(inside) > 1:
                    raise _refusal(effective, "the step is not linear in it")
                found[inside[0]].setdefault(k, {})[term] = c
    result = {}
    for name in names:
        target = {k: -_fluctuation(h.along(Sum.state(name))) for k, h in increments.items()}
        result[name] = _multiple(effective, {k: Sum(terms) for k, terms in found[name].items()}, target)
    return result


def _input(effective: Effective, increments: Powers, name: str) -> _Multiple:
    """``B``: what a block takes up of ``h``'s fluctuation, the same at all powers of ``rho``."""
    most = max(increments, default=0)
    taken: Powers = {}
    for (a, k), value in effective.step.maps[name].items():
        if a == 0 and k <= most:
            rest = {
                term: c
                for term, c in value.terms.items()
                if not (term[0] and term[0][0] == STATE and term[0][1] in effective.step.fast and not term[1] and not k)
            }
            if any(degree(term, effective.step.fast) for term in rest):
                raise _refusal(effective, f"{name} is not linear in it")
            taken[k] = _fluctuation(Sum(rest))
    return _multiple(effective, taken, {k: _fluctuation(h) for k, h in increments.items()})


def _row(effective: Effective, name: str) -> dict[str, Fraction]:
    """``A``: coefficients of fast blocks in the new value of one."""
    found: dict[str, Fraction] = {}
    for (vector, factors), c in effective.step.maps[name].get((0, 0), Sum()).terms.items():
        if vector and vector[0] == STATE and vector[1] in effective.step.fast:
            if factors:
                raise _refusal(effective, f"{name} takes up {Sum({(vector, factors): c})}")
            found[vector[1]] = c
    return found


def _multiple(effective: Effective, value: Powers, of: Powers) -> _Multiple:
    """``value`` as a multiple of ``of``, the same at every power of ``rho``."""
    names = sorted(effective.step.recursion.schedules)
    none = _Multiple(Fraction(0), dict.fromkeys(names, Fraction(0)))
    if not any(value.values()):
        return none
    k = min((k for k, each in of.items() if each), default=None)
    if k is None or not value.get(k):
        raise _refusal(effective, "it is not one of past increments alone")
    (vector, factors), c = next(iter(of[k].terms.items()))
    plain, powers = _split(factors, names)
    for (other, others), d in value[k].terms.items():
        rest, theirs = _split(others, names)
        if other == vector and rest == plain:
            found = _Multiple(d / c, {s: theirs[s] - powers[s] for s in names})
            factor = Sum.number(found.number)
            for s, e in found.powers.items():
                factor = factor * Sum.parameter(s).power(e) if e else factor
            if all(value.get(j, Sum()) == of.get(j, Sum()) * factor for j in {*value, *of}):
                return found
    raise _refusal(effective, "its parts have other weights than the step's own increment")


def _split(factors: Factors, names: list[str]) -> tuple[Factors, dict[str, Fraction]]:
    """Factors other than schedules, and the powers of those."""
    powers = dict.fromkeys(names, Fraction(0))
    rest = []
    for atom, e in factors:
        if atom[0] == PARAMETER and atom[1] in powers:
            powers[atom[1]] = e
        else:
            rest.append((atom, e))
    return tuple(rest), powers


def _fluctuation(vector: Sum) -> Sum:
    return vector - vector.mean()


def _sum(left: Powers, right: Powers) -> Powers:
    return {k: left.get(k, Sum()) + right.get(k, Sum()) for k in {*left, *right}}


def _shortened(value: Fraction) -> Fraction:
    return value if value.denominator.bit_length() < _MOST_BITS else Fraction(round(value * _ROUNDED), _ROUNDED)


def _refusal(effective: Effective, why: str) -> InputError:
    return InputError(
        f"recursion '{effective.step.recursion.name}': epochs are derived for memory that is a weighted sum of past "
        f"increments, as momentum is, and here {why}; draw independently, or write the steps of one epoch as "
        "statements with distinct draws"
    )
