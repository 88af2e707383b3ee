"""What holds of every scheme that is registered: its declarations, refusals, traces; and the page that lists them."""

import itertools
import math
from typing import get_args

import pytest
import torch
from torch.func import vmap
from torch.fx.experimental.proxy_tensor import make_fx

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.scheme import SCHEMES, Calculus, Increments, Noise
from eigensam.sde.simulation.scheme_table import in_page, table
from eigensam.tests.house import ROOT

from .exact_orders import moment_errors
from .suite import Case, Expectation, vector

KINDS, CALCULI = get_args(Noise), get_args(Calculus)
PROBLEM = SDEProblem(
    lambda t, x: torch.sin(x) * (1 + t),
    lambda t, x: torch.stack([x.cos(), x * x.roll(1), t + x.sin()], 1),
)
"""Of nonlinear coefficients that depend on time, in two dimensions with three columns."""


def arguments(scheme, *batch):
    generator = torch.Generator().manual_seed(0)
    x, dw = (torch.randn(*batch, size, dtype=torch.float64, generator=generator) for size in (2, 3))
    signs = torch.randn(*batch, scheme.sign_count(3), dtype=torch.float64, generator=generator).sign()
    return torch.tensor(0.4, dtype=torch.float64), x, dw, signs


def step_of(scheme, h=0.1):
    return lambda t, x, dw, signs: scheme.step(PROBLEM, t, x, h, dw, signs)


@pytest.mark.parametrize("name", SCHEMES)
def test_declarations(name):
    scheme = SCHEMES[name]
    assert scheme.calculus in CALCULI
    assert scheme.increments in get_args(Increments)
    assert scheme.source
    assert set(scheme.strong_order) <= set(scheme.weak_order) <= set(KINDS)
    assert scheme.weak_order
    assert all(scheme.weak_order[kind] >= order for kind, order in scheme.strong_order.items())
    assert scheme.increments == "normal" or not scheme.strong_order


@pytest.mark.parametrize("name", SCHEMES)
def test_impossible_pairs_are_refused(name):
    """And the message names schemes that take the problem, each of which does."""
    scheme = SCHEMES[name]
    for calculus, noise in itertools.product(CALCULI, KINDS):
        if calculus == scheme.calculus and noise in scheme.weak_order:
            scheme.check(name, calculus, noise)
            continue
        with pytest.raises(
            InputError, match=f"'{name}' solves {scheme.calculus} .* found {calculus} with {noise}"
        ) as error:
            scheme.check(name, calculus, noise)
        advised = str(error.value).split("choose ")[1].split(", or convert")[0].split(" or ")
        assert advised
        for other in advised:
            SCHEMES[other].check(other, calculus, noise)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_step_is_traced_and_batched(name):
    """One point's step, its trace at other numbers, and a batch of it are the same."""
    step = step_of(SCHEMES[name])
    t, x, dw, signs = arguments(SCHEMES[name], 5)
    alone = torch.stack([step(t, *each) for each in zip(x, dw, signs, strict=True)])
    batched = vmap(step, (None, 0, 0, 0))(t, x, dw, signs)
    torch.testing.assert_close(batched, alone, rtol=1e-14, atol=1e-14)
    traced = make_fx(step)(t, x[0], dw[0], signs[0])
    torch.testing.assert_close(traced(t + 0.3, x[1], dw[1], signs[1]), step(t + 0.3, x[1], dw[1], signs[1]))


@pytest.mark.parametrize("name", SCHEMES)
def test_paths_that_start_together_may_share_their_memory(name):
    """And so may the entries of a column."""
    scheme = SCHEMES[name]
    t, x, dw, signs = arguments(scheme, 5)
    still = SDEProblem(PROBLEM.drift, lambda t, x: x.sum().expand(2, 3))
    step = vmap(lambda x, dw, signs: scheme.step(still, t, x, 0.1, dw, signs))
    together, apart = (step(start, dw, signs) for start in (x[0].expand(5, 2), x[0].repeat(5, 1)))
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("name", SCHEMES)
def test_single_precision_is_kept(name):
    t, x, dw, signs = (each.float() for each in arguments(SCHEMES[name]))
    assert step_of(SCHEMES[name])(t, x, dw, signs).dtype == torch.float32


@pytest.mark.parametrize("name", SCHEMES)
def test_without_noise_all_are_methods_for_ordinary_equations(name):
    """``dx/dt = sin x`` from 1: ``tan(x/2)`` grows exponentially. The error falls at least as fast as order 1 tells."""
    scheme, none = SCHEMES[name], torch.zeros(0, dtype=torch.float64)
    still = SDEProblem(lambda t, x: x.sin(), lambda t, x: 0 * x[:, None])
    errors = []
    for count in (50, 100):
        x = vector(1.0)
        for _ in range(count):
            x = scheme.step(still, torch.zeros((), dtype=torch.float64), x, 1 / count, vector(0.0), none)
        errors.append(abs(x.item() - 2 * math.atan(math.e * math.tan(0.5))))
    assert math.log2(errors[0] / errors[1]) >= 0.95


def test_the_splitting_has_order_3_where_the_noise_is_as_small_as_the_step():
    """``dX = -1.3 X dt + sqrt(eta) X dW`` with ``h = eta``: ``E X^2 = exp(eta - 2.6)``; Euler's scheme has order 1."""

    def slope(name):
        errors = []
        for count in (16, 32, 64):
            eta = 1 / count
            small = SDEProblem(lambda t, x: -1.3 * x, lambda t, x, eta=eta: eta**0.5 * x[:, None], "scalar")
            truth = Expectation("E x^2", lambda x: x[0] ** 2, math.exp(eta - 2.6))
            errors.append(abs(moment_errors(SCHEMES[name], Case(small, vector(1.0), 1.0, (truth,)), count)[0].item()))
        return [math.log2(a / b) for a, b in itertools.pairwise(errors)]

    assert slope("splitting") == pytest.approx([3, 3], abs=0.1)
    assert slope("euler-maruyama") == pytest.approx([1, 1], abs=0.1)


def test_the_page_holds_the_table():
    page = (ROOT / "docs" / "simulation.md").read_text()
    assert in_page(page) == page
    assert table() in page
    assert all(f"| `{name}` | {scheme.calculus} |" in page for name, scheme in SCHEMES.items())
    assert in_page(page.replace("| 1, 1/2 |", "| 1, 1 |")) == page
