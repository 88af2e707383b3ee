"""One step of recursions against exact arithmetic that knows nothing of the engine.

Every coefficient to ``eta^2 rho^3`` is that of the statements executed in truncated polynomials.
"""

import itertools
from fractions import Fraction

import pytest

from eigensam.sde.algebra.sums import Sum
from eigensam.sde.derivation.averaging.one_step import OneStep

from .composed_recursions import family, memory_of, one_step
from .exact_values import Values
from .recursions import TRAINED, Trained

GIVEN = {"s": Fraction(2, 3)}


def kept(a, k):
    return a <= 2 and k <= 3


def compared_steps(trained, others, dim):
    """(number of coefficients, those that differ) of one recursion's expansion and another's execution."""
    rule = trained.recursion
    one = OneStep(rule, Fraction(1), Fraction(5))
    assert one.slow == trained.slow
    losses, memory = family(dim, 3 if rule.distinct else 2), memory_of(rule, dim)
    values = Values(losses, memory, GIVEN)
    choices = itertools.product(losses.members, repeat=len(rule.draws))
    count, wrong = 0, []
    for choice in choices:
        if rule.distinct and len(set(choice)) < len(choice):
            continue
        draws = dict(zip(rule.draws, choice, strict=True))
        truth = one_step(others.recursion, losses, memory, draws, GIVEN, lambda a, k: kept(a, k - others.poles))
        for name, powers in truth.items():
            engine = one.moves[name] if name in one.slow else one.maps[name]
            for power in {power for power in {*powers, *engine} if kept(*power)}:
                found = values.vector(engine.get(power, Sum()), {one.draws[label]: m for label, m in draws.items()})
                start = values.blocks[name] if name in one.slow and power == (0, 0) else [0] * dim
                right = [c - z for c, z in zip(powers.get(power, [0] * dim), start, strict=True)]
                count += 1
                wrong += [] if found == right else [(name, power)]
    return count, wrong


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", list(TRAINED))
def test_every_coefficient_of_a_step_is_that_of_the_executed_statements(name, dim):
    count, wrong = compared_steps(TRAINED[name], TRAINED[name], dim)
    assert not wrong
    assert count >= (8 if "rho" in TRAINED[name].text else 3)


def test_the_comparison_of_steps_can_fail():
    """SAM against USAM, and heavy ball against its neighbour: only what they have in common agrees."""
    sam, usam = TRAINED["SAM with momentum"], Trained("m = 9/10*m + grad(rho*g); x = x - eta*m", Fraction(10))
    assert set(compared_steps(sam, usam, 2)[1]) == {(n, (a, k)) for n, a in (("m", 0), ("x", 1)) for k in (1, 2, 3)}
    other = Trained("m = 9/10*m + g; x = x - eta*m - eta/100*x")
    assert set(compared_steps(TRAINED["heavy ball"], other, 1)[1]) == {("x", (1, 0))}
