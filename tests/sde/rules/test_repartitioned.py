"""Epochs of examples, against the same law written out: every way to cut a few examples into minibatches."""

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
import torch

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape, Quadratic
from eigensam.sde import RECURSIONS, derive, drift_and_covariance, find_rule, verify_moments
from eigensam.sde.rules.repartitioned import Repartitioned
from eigensam.sde.rules.sampling import Epochs, Reshuffled
from eigensam.sde.weak_order.recursion_draws import period_of

X, Y = sympy.symbols("x y")
EXAMPLES = [X**2 + X**4 / 3 + Y**2 / 2, X**2 / 2 - X + Y**4 / 5, X * Y / 3 + Y**2, X**3 / 4 - Y, (X - Y) ** 2 + Y]
POINT = torch.tensor([[0.7, -0.4]], dtype=torch.float64)
CASES = [(4, 2), (5, 2), (4, 1), (5, 1), (5, 3), (3, 3)]


def written_out(examples, size):
    """The landscape of all minibatches of so many examples, and all epochs of such."""
    batches = list(itertools.combinations(range(examples), size))
    losses = [sum(EXAMPLES[i] for i in batch) / size for batch in batches]
    disjoint = [
        chosen
        for chosen in itertools.combinations(range(len(batches)), examples // size)
        if len({i for k in chosen for i in batches[k]}) == size * len(chosen)
    ]
    return FormulaLandscape([X, Y], losses), Epochs(tuple(disjoint))


def numbers(name, law, landscape, rho, beta):
    """b_1 and the covariance, as one vector."""
    sde = derive(replace(RECURSIONS[name], sampling=law), 2, beta)
    with_b1, covariance = drift_and_covariance(landscape, sde, POINT, rho, 1.0)
    without, _ = drift_and_covariance(landscape, sde, POINT, rho, 0.0)
    return torch.cat([(with_b1 - without).flatten(), covariance.flatten()])


@pytest.mark.parametrize(("examples", "size"), CASES)
@pytest.mark.parametrize("name", ["heavy-ball", "nesterov", "coupled-decay"])
def test_linear_in_examples(name, examples, size):
    landscape, epochs = written_out(examples, size)
    truth = numbers(name, epochs, landscape, 0.0, 1)
    torch.testing.assert_close(
        numbers(name, Repartitioned(examples, size), landscape, 0.0, 1), truth, rtol=1e-11, atol=1e-12
    )
    if examples % size:  # wrong on purpose: nothing is left out
        wrong = numbers(name, Repartitioned(examples - examples % size, size), landscape, 0.0, 1)
        assert (wrong - truth).abs().max() > 1e-3


@pytest.mark.parametrize(("examples", "size"), [(4, 2), (5, 2)])
@pytest.mark.parametrize("name", ["usam-momentum", "sam-momentum"])
def test_perturbed_to_first_order(name, examples, size):
    """What is neglected begins at rho^2; and it is there."""
    landscape, epochs = written_out(examples, size)
    gaps = []
    for rho in (1e-2, 1e-3):
        ours, truth = (numbers(name, law, landscape, rho, "1/2") for law in (Repartitioned(examples, size), epochs))
        gaps.append(float((ours - truth).abs().max()) / rho**2)
    assert 1e-4 < gaps[1] < 1e2
    assert gaps[0] == pytest.approx(gaps[1], rel=0.2)


def test_steps_that_are_not_linear_are_refused():
    for text in ("x = x - eta*unit(g)", "x = x - eta*inner(g, g)*g", "x = x - eta*(g + hvp(g))"):
        with pytest.raises(InputError, match=r"are derived for steps that are linear in the examples at rho = 0"):
            derive(replace(find_rule(text), sampling=Repartitioned(10, 3)), 2, 1)
    derive(replace(find_rule("x = x - eta*(g + mean(g)/2 + x)"), sampling=Repartitioned(10, 3)), 2, 1)


def test_higher_powers_are_refused():
    law = Repartitioned(1437, 64)
    with pytest.raises(InputError, match=r"up to rho\^1, and rho\^2 is asked for; give a rho exponent of at least 1/2"):
        derive(replace(RECURSIONS["sam-momentum"], sampling=law), 2, "1/3")
    assert derive(replace(RECURSIONS["sam-momentum"], sampling=law), 2, "1/2").weak_order == 2
    first = derive(replace(RECURSIONS["sam-momentum"], sampling=law), 1, "1/3")  # needs no noise: powers that are known
    assert (first.weak_order, sorted(first.drift), sorted(first.covariance)) == (1, [0, 1, 2], [0, 1])
    assert derive(replace(RECURSIONS["heavy-ball"], sampling=law), 2, "1/3").weak_order == 2


def test_chains_of_a_family_refuse_a_law_of_examples():
    """Four minibatches are not what 8 examples in pairs are."""
    recursion = replace(RECURSIONS["heavy-ball"], sampling=Repartitioned(8, 2))
    with pytest.raises(InputError, match=r"every epoch cuts the examples anew.*; orders are listed of the minibatches"):
        period_of(recursion, 4)
    with pytest.raises(InputError, match="moments are not computed for Repartitioned"):
        verify_moments(derive(recursion, 2, 1), landscape=Quadratic.random(2))


def test_whole_numbers_of_minibatches_are_reshuffled():
    for steps in (2, 5):
        ours, fixed = Repartitioned(8 * steps, 8), Reshuffled(steps)
        assert (ours.epoch, ours.noise()) == (fixed.epoch, fixed.noise())
        lags = [Fraction(9, 10) ** k for k in range(1, 40)]
        assert ours.share(lags) == fixed.share(lags)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 4), "minibatches of 4 of 3 examples; give a size from 1 to 3"),
        ((3, 0), "minibatches of 0"),
        ((3.0, 1), "3.0"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        Repartitioned(*arguments)
