"""Grids of position and memory, what memory reaches, operators over time, periods, and what is refused."""

import math
import re
from dataclasses import replace

import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde import coefficients, derive, verify_on_torus
from eigensam.sde.rules.exact_steps import recursion_step
from eigensam.sde.rules.leaves import POSITION
from eigensam.sde.rules.sampling import Epochs, GivenOrder, Reshuffled, SingleShuffle
from eigensam.sde.rules.schedules import Schedule
from eigensam.sde.weak_order.claim import Claim
from eigensam.sde.weak_order.evolution import Evolution
from eigensam.sde.weak_order.memory_grid import Interval, MemoryGrid
from eigensam.sde.weak_order.over_time import OverTime, Product, backwards
from eigensam.sde.weak_order.plans import TorusPlan
from eigensam.sde.weak_order.recursion_draws import after_period, period_of
from eigensam.sde.weak_order.recursion_torus_errors import RecursionTorus, Resolution
from eigensam.sde.weak_order.torus_checks import periodic_test_functions

from .trained import HEAVY, HEAVY_SAM, LINE, PLAIN_SAM, derived, recursion

F64 = torch.float64
ETAS = [2.0**-k for k in (8, 10, 12)]


def torus_of(sde, etas, landscape=LINE):
    claim = Claim.checked(sde, landscape, etas, 0.8, None, 2.0)
    return RecursionTorus(claim, landscape, [0.5, 1.0], periodic_test_functions)


def test_interpolation_of_position_and_two_blocks_is_exact_for_waves_and_polynomials():
    grid = MemoryGrid(1, 7, [Interval(-1.0, 2.0), Interval(0.0, 5.0)], 4)

    def function(x, memory):
        return (3 * x[:, 0]).sin() * memory[:, 0] ** 3 + x[:, 0].cos() * memory[:, 1] ** 2

    points = torch.tensor([[0.3], [5.0], [0.0]], dtype=F64)
    memory = torch.tensor([[0.4, 1.2], [1.9, 4.5], [-1.0, 5.0]], dtype=F64)  # the last one on nodes
    found = grid.weights(points, memory) @ function(grid.x, grid.memory)
    assert torch.allclose(found, function(points, memory), rtol=1e-12, atol=1e-12)


def test_one_node_holds_constants():
    grid = MemoryGrid(1, 5, [Interval(-1.0, 3.0)], 1)
    assert grid.memory.unique().tolist() == [1.0]
    assert torch.allclose(grid.weights(grid.x, grid.memory + 0.5), torch.eye(5, dtype=F64))


def test_the_operator_of_one_step_is_the_mean_over_minibatches():
    """Against the step itself, at a point that is on no node."""
    sde, eta = derived(HEAVY_SAM), 2.0**-8
    torus = torus_of(sde, [eta, eta / 4])
    grid = torus.grid(Resolution(27, 6))
    matrix = torus.transition(torus.claim, eta, grid, torus.period.worlds[0])(0.0)
    x, m = torch.tensor([[1.234]], dtype=F64), torch.tensor([[7.0]], dtype=F64)
    function = (grid.x[:, :1].sin() * grid.memory[:, :1]).flatten()
    found = grid.weights(x, m) @ (matrix @ function)
    after = recursion_step(LINE, sde.rule, {"x": x[:, None], "m": m[:, None]}, eta / 10, torus.claim.rho(eta))
    assert found.item() == pytest.approx((after["x"].sin() * after["m"]).mean().item(), abs=1e-8)


def test_too_few_nodes_read_1_and_are_noticed():
    sde = derived(HEAVY_SAM)
    torus = torus_of(sde, [2.0**-10, 2.0**-12])

    def slope(nodes):
        errors = [torus.compared(torus.claim, eta, Resolution(21, nodes)).error for eta in torus.claim.etas]
        return math.log(errors[0] / errors[1]) / math.log(4)

    assert slope(2) < 1.1
    assert slope(5) == pytest.approx(2, abs=0.05)
    assert verify_on_torus(sde, LINE, etas=ETAS).details["nodes"] > 2


def test_memory_stays_in_its_box():
    torus = torus_of(derived(HEAVY), ETAS)
    (interval,) = torus.box.intervals
    largest = float(
        LINE.contracted_gradients(torch.linspace(0, 2 * math.pi, 999, dtype=F64)[:, None, None], [(1.0, [])]).max()
    )
    assert 9.9 * largest < interval.high < 10.6 * largest
    state = {POSITION: torus.start_x, "m": torus.start_memory}
    step = torus._at(torus.claim, ETAS[0], 0.0)
    for _ in range(50):
        state = {name: block[:, 0] for name, block in step(state).items()}
        assert bool((state["m"] >= interval.low).all() & (state["m"] <= interval.high).all())


def test_products_over_time_agree_with_factors_and_backwards_with_an_exponential():
    torch.manual_seed(0)
    a, b = torch.randn(2, 4, 4, dtype=F64) / 4
    identity = torch.eye(4, dtype=F64)

    def matrix(t):
        return identity + 0.01 * (a + math.sin(t) * b)

    product, state = Product(matrix, 0.01, 1.0), identity
    for n in reversed(range(20, 97)):
        state = matrix(0.01 * n) @ state
    assert torch.allclose(product.applied(identity, 0.2, 77), state, rtol=1e-11)
    found = backwards(lambda t: a, identity, 0.0, 1.5)
    assert torch.allclose(found, torch.matrix_exp(1.5 * a), rtol=1e-10)


def test_a_schedule_that_changes_too_quickly():
    with pytest.raises(InputError, match="too quickly"):
        OverTime(lambda t: torch.full((1, 1), math.sin(1000 * t), dtype=F64), 1.0)


def test_the_solution_with_a_constant_schedule_is_that_without():
    etas = [2.0**-6, 2.0**-8]
    text = "m = 1/2*m + g; x = x - eta*s*m"
    scheduled = derive(recursion(text, schedules={"s": Schedule("1 + 0*t + t - t")}), 2, 1)
    plain = derived("m = 1/2*m + g; x = x - eta*m", 2, 1)
    one, other = (torus_of(sde, etas) for sde in (scheduled, plain))
    found, expected = (each.compared(each.claim, etas[0], Resolution(17, 4)) for each in (one, other))
    assert found.chain == pytest.approx(expected.chain, abs=1e-11)
    assert found.difference == pytest.approx(expected.difference, abs=1e-10)


def test_the_semigroup_is_that_of_the_other_torus_method():
    sde, eta = derived(PLAIN_SAM), 2.0**-6
    torus = torus_of(sde, [eta, eta / 4])
    grid = torus.grid(Resolution(31, 1)).positions
    found = coefficients(LINE, sde, grid.points[:, None], torus.claim.rho(eta))
    evolution = Evolution(grid.generator(found.drift(eta), found.covariance_matrix(), eta))
    expected = grid.resampled(evolution.advance(periodic_test_functions(grid.points), 1.0), grid)
    assert torch.allclose(torus.solution(torus.claim, sde, eta, 31)[-1], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("sampling", "steps", "worlds"),
    [
        (GivenOrder(3), 3, [1]),
        (SingleShuffle(3), 3, [1] * 6),
        (Reshuffled(3), 3, [6]),
        (Reshuffled(3, steps=2), 2, [6]),
        (Epochs(((0, 1), (1, 2), (0, 2))), 2, [6]),
    ],
)
def test_periods(sampling, steps, worlds):
    period = period_of(recursion(HEAVY, sampling=sampling), 3)
    assert period.steps == steps
    assert [len(world) for world in period.worlds] == worlds


def test_distinct_draws_leave_out_equal_ones():
    drawn = recursion("x = x - eta*(grad(draw='a') + grad(draw='b'))/2", distinct=3)
    assert [i for (i,) in period_of(drawn, 3).worlds[0]] == [1, 2, 3, 5, 6, 7]


def test_sequences_share_their_beginning():
    calls = []

    def step(blocks, j):
        calls.append(j)
        return {"x": torch.stack([blocks["x"] + 10**j * m for m in range(3)])}

    ends = after_period(step, {"x": torch.zeros(1)}, [(0, 1), (0, 2), (1, 0)])
    assert [end["x"].item() for end in ends] == [10, 20, 1]
    assert calls == [0, 1, 1]


@pytest.mark.parametrize(
    ("sde", "settings", "message"),
    [
        (
            lambda: derived("m = 9/10*m + g; x = x - eta*m - eta/100*x", 2, 1),
            {},
            "is not periodic: from a point that is 2 pi further its step gives another x",
        ),
        (
            lambda: derived("a = 1/2*a + 1/2*x; x = x - eta*g", 2, 1),
            {},
            "gives another a (decay and averages of positions do); use verify_moments on a quadratic, or verify_one",
        ),
        (lambda: derived("m = m + 2*eta*(-1*g - m); x = x + eta*m", 2, 1), {}, "the slow blocks m"),
        (
            lambda: derived("q = q/2 + g; r = r/2 + q; m = m/2 + r; x = x - eta*m", 2, 1),
            {},
            "has 3 blocks of memory, a grid holds at most 2",
        ),
        (
            lambda: derived(HEAVY, 2, 1),
            {"landscape": TiltedTorus.default(2)},
            "TiltedTorus of dimension 1 for",
        ),
        (lambda: derived(HEAVY, 2, 1), {"landscape": Quadratic([[1.0]], centres=[[0.0]])}, "found Quadratic"),
        (
            lambda: derived(HEAVY, 2, 1, Reshuffled(3)),
            {"etas": ETAS},
            "T / eta = 256 steps are no whole number of periods of 3",
        ),
        (lambda: derived(HEAVY, 2, 1), {"plan": TorusPlan(resolution=3)}, "give at least 5"),
        (lambda: derived(HEAVY, 2, 1), {"plan": TorusPlan(memory=1e5)}, "make a matrix of 68 rows"),
        (
            lambda: derived("m = 9/10*m + g; x = x - eta*s*m", 2, 1),
            {"plan": TorusPlan(coefficients=lambda *_: None)},
            "leave the schedules out",
        ),
        (
            lambda: derived(HEAVY_SAM, 1, 1),
            {"landscape": TiltedTorus([[0.5]], [[1]], [[1.0]], [[0.0]])},
            "needs norm(g) away from 0",
        ),
        (lambda: derived(HEAVY, 2, 1), {"plan": TorusPlan(test_functions=lambda x: x)}, "when coordinate 1 grows"),
    ],
)
def test_refusals(sde, settings, message):
    with pytest.raises(InputError, match=re.escape(message)):
        verify_on_torus(sde(), **{"landscape": LINE, **settings})


def test_coefficients_of_ones_own():
    """The derived ones pass as another's; a drift that is 5 % too small does not."""
    sde = derived(HEAVY, 1, 1)

    def own(factor):
        def found(f, sde, x, rho, eta, values):
            each = coefficients(f, sde, x, rho, values)
            return factor * each.drift(eta), each.covariance_matrix()

        return found

    plan = TorusPlan(coefficients=own(1.0))
    assert verify_on_torus(sde, LINE, etas=[2.0**-k for k in (10, 12, 14)], plan=plan).verdict == "pass"
    assert verify_on_torus(sde, LINE, etas=ETAS, plan=replace(plan, coefficients=own(0.95))).verdict == "fail"


def test_progress_reaches_its_total():
    calls = []
    verify_on_torus(derived(HEAVY, 1, 1), LINE, etas=ETAS, progress=lambda *call: calls.append(call))
    assert calls[0][0] == 0
    assert calls[-1][0] == calls[-1][1] == max(done for done, _ in calls)
