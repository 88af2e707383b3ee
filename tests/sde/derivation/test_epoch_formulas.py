"""The formula for epochs against the derivation of one epoch that is written out, as statements with distinct draws."""

from fractions import Fraction

import pytest

from eigensam.sde import derive
from eigensam.sde.algebra.states import averaged
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.rules.sampling import Reshuffled

from .recursions import recursion

RULES = {
    "plain": "x = x - eta*{g}",
    "heavy ball": "m = 9/10*m + {g}; x = x - eta*m",
    "Nesterov": "d = {g}; m = 1/2*m + d; x = x - eta*(d + 1/2*m)",
    "coupled decay": "m = 1/2*m + {g} + 1/7*x; x = x - eta*m",
    "decoupled decay": "m = 1/2*m + {g}; x = x - eta*m - eta/7*x",
}

INCREMENTS = {
    "SGD": ("g", "grad(draw='{0}')"),
    "USAM": ("grad(rho*g)", "grad(rho*grad(draw='{0}'), draw='{0}')"),
    "SAM": ("grad(rho*unit(g))", "grad(rho*unit(grad(draw='{0}')), draw='{0}')"),
}


def unrolled(rule, increment, length):
    """The statements of an epoch: each step has a minibatch of its own."""
    steps = [rule.format(g=INCREMENTS[increment][1].format(i)) for i in range(length)]
    return "; ".join(steps)


EPOCHS = [
    *((name, "SGD", steps, batches) for name in RULES for steps, batches in ((2, 2), (3, 3), (2, 3))),
    *((name, "USAM", 2, batches) for name in ("plain", "heavy ball") for batches in (2, 3)),
    ("heavy ball", "SAM", 2, 2),
]


def both(name, increment, steps, batches):
    formula = recursion(RULES[name].format(g=INCREMENTS[increment][0]), sampling=Reshuffled(batches, steps=steps))
    epoch = recursion(unrolled(RULES[name], increment, steps), distinct=batches, inner_steps=steps)
    return derive(formula, 2, 1), derive(epoch, 2, 1)


@pytest.mark.parametrize(("name", "increment", "steps", "batches"), EPOCHS)
def test_the_formula_is_what_one_epoch_does(name, increment, steps, batches):
    formula, epoch = both(name, increment, steps, batches)
    assert formula.rate == epoch.rate
    assert formula.drift == epoch.drift
    assert formula.correction == epoch.correction
    assert noise(formula) == noise(epoch)
    assert bool(noise(formula)) == (steps < batches)


def noise(sde):
    return {k: found for k, h in sde.covariance.items() if (found := h - h.mean())}


@pytest.mark.parametrize("name", ["plain", "heavy ball"])
def test_corrections_of_memory_and_of_epochs_do_not_add(name):
    """Against the sum of both, which is right without memory only."""
    formula, _ = both(name, "SGD", 2, 2)
    alone = derive(recursion(RULES[name].format(g="g")), 2, 1).correction[0]
    shuffled = derive(recursion(RULES["plain"].format(g="g"), sampling=Reshuffled(2)), 2, 1).correction[0]
    independent = derive(recursion(RULES["plain"].format(g="g")), 2, 1).correction[0]
    assert (formula.correction[0] == alone + shuffled - independent) == (name == "plain")


def test_the_mean_of_an_epochs_sum():
    """``(1/2M) E (D S~) S~`` by sums over pairs of distinct draws, against the formula's multiple of ``C``."""
    labels, batches = (-2, -3), 3
    total = Sum.derivative(sample=-2) + Sum.derivative(sample=-3) - Sum.derivative().mean() * 2
    square = averaged(total.along(total), labels, batches)
    alone = averaged(Sum.derivative(sample=-2).along(Sum.derivative(sample=-2)), labels, batches)
    formula, _ = both("plain", "SGD", 2, batches)
    assert formula.correction[0] == alone * Fraction(-1, 2) + square * Fraction(1, 4)
