"""The rules with memory that have a name: what they say, what is refused, and what their SDEs have."""

from fractions import Fraction
from pathlib import Path

import pytest
import sympy
import torch

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape
from eigensam.sde import RECURSIONS, RULES, Recursion, Rule, derive, find_rule, heavy_ball
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.derivation.recursion_table import PAGE, recursion_table
from eigensam.sde.rules import Schedule, grad, rho
from eigensam.sde.rules.exact_steps import recursion_step
from eigensam.sde.rules.finding import find_memoryless, without_memory
from eigensam.sde.rules.known_recursions import (
    averaged_steps,
    averaged_weights,
    friction,
    lookahead,
    m_sam,
    momentum_sam,
    two_batch_sam,
    vasso,
)
from eigensam.sde.rules.rewriting import regularised

ROOT = Path(__file__).parents[3]


def test_names_are_those_of_no_other_rule():
    assert not RECURSIONS.keys() & RULES.keys()
    assert all(find_rule(name) is recursion for name, recursion in RECURSIONS.items())
    assert all(recursion.summary for recursion in RECURSIONS.values())


def test_the_page_is_generated():
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert page == recursion_table(), f"run: python -m eigensam.sde.derivation.recursion_table {PAGE}"
    assert all(f"## {name}\n" in page for name in RECURSIONS)


@pytest.mark.parametrize("recursion", RECURSIONS.values(), ids=RECURSIONS)
def test_text_is_read_back(recursion):
    """Also what the page and messages show of a rule can be typed."""
    again = find_rule(recursion.step)
    assert isinstance(again, Recursion)
    assert again.step == recursion.step
    assert again.blocks == recursion.blocks


# Order 2 at rho exponent 1 keeps rho^0 of b_1: -(1/2 + tau) for memory of mean age tau.
AGES = {
    "heavy-ball": Fraction(9),
    "nesterov": Fraction(81, 10),
    "usam-momentum": Fraction(9),
    "sam-momentum": Fraction(9),
    "vasso": Fraction(0),
    "usam-two-batches": Fraction(0),
}


@pytest.mark.parametrize(("name", "age"), AGES.items(), ids=AGES)
def test_age_of_memory(name, age):
    f = derive(find_rule("sgd"), 2, 1).correction[0]  # -1/2 D2f Df
    assert derive(RECURSIONS[name], 2, 1).correction[0] == f * (1 + 2 * age)


@pytest.mark.parametrize(("steps", "alpha"), [(2, "1/2"), (3, "1/4"), (5, "4/5"), (1, "1/2")])
def test_lookahead(steps, alpha):
    """eta b_1 = -eta/2 (1 - k (1 - alpha)) (D h) h (theory, section 8), in units of alpha eta."""
    sde, plain = derive(lookahead(steps, alpha), 2, 1), derive(find_rule("sgd"), 2, 1)
    factor = (1 - steps * (1 - Fraction(alpha))) / Fraction(alpha)
    assert sde.rate == Fraction(alpha)
    assert sde.correction.get(0, Sum()) == plain.correction[0] * factor
    assert sde.covariance[0] - sde.covariance[0].mean() == plain.covariance[0] - plain.covariance[0].mean()


def test_suppressed_variance():
    """The drift's power rho^1 is -(H Df + theta E[H~ g~]): USAM's at theta = 1, that of independent batches at 0."""
    shared, apart = (derive(r, 1, "1/2").drift[1] for r in (RULES["usam"], two_batch_sam(normalised=False)))
    theta = Fraction(3, 10)
    assert derive(vasso(theta), 1, "1/2").drift[1] == shared * theta + apart * (1 - theta)
    assert derive(vasso(1), 1, "1/2").drift[1] == shared
    assert shared != apart


@pytest.mark.parametrize("parts", [2, 3])
def test_noise_of_micro_batches(parts):
    """The mean of k independent ones has the drift of one, and its covariance divided by k."""
    sde, one = derive(m_sam(parts), 1, "1/2"), derive(RULES["sam"], 1, "1/2")
    assert sde.drift == one.drift
    root = Sum.number(Fraction(1, parts)).power(Fraction(1, 2))
    assert sde.covariance == {k: (h - h.mean()) * root for k, h in one.covariance.items()}
    assert derive(m_sam(parts, family=parts), 2, 1).covariance == {}  # all of them: no noise


@pytest.mark.parametrize("rule", [vasso(normalised=True), momentum_sam(normalised=True)], ids=lambda rule: rule.name)
def test_normalised_memory_is_refused(rule):
    with pytest.raises(InputError, match=r"is no polynomial in it; only memory that is affine.*closed form") as caught:
        derive(rule, 1, "1/2")
    assert rule.name in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: heavy_ball(RULES["sgd"], beta=1), "beta = 1: the buffer would never forget"),
        (lambda: heavy_ball(RULES["sgd"], beta="much"), "beta = 'much' is not a number; give e.g."),
        (lambda: heavy_ball(RULES["sgd"], dampening=2), "dampening = 2 must lie in"),
        (lambda: heavy_ball(RULES["sgd"], weight_decay=-1), "weight_decay = -1 must be at least 0"),
        (lambda: heavy_ball(RULES["sgd"], beta=0, nesterov=True), "nesterov needs a beta above 0 and no dampening"),
        (lambda: heavy_ball(RULES["sgd"], inside=True), "inside needs a schedule and a buffer"),
        (lambda: heavy_ball("sgd"), "found 'sgd'; expected a rule without memory, or a step"),
        (lambda: vasso(0), "theta = 0 is not a weight"),
        (lambda: momentum_sam(0), "momentum-SAM needs a momentum above 0"),
        (lambda: lookahead(0), "Lookahead of 0 steps"),
        (lambda: lookahead(2, 2), "alpha = 2"),
        (lambda: averaged_steps(RULES["sam"], 0), "a mean of 0 steps"),
        (lambda: friction(0), "kappa = 0 is not positive"),
        (lambda: averaged_weights(-1), "speed = -1 is not positive"),
        (lambda: find_rule("newton"), "unknown rule 'newton'; choose one of: sgd, usam.*heavy-ball.*or write one"),
        (lambda: find_memoryless("nesterov"), "'nesterov' is a rule written in statements, which this does not take"),
        (lambda: without_memory("sam"), r"found 'sam'; expected a rule: find_rule\('sam'\)"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_derive_takes_all_of_them(cli):
    outcome = cli("derive", "m = 9/10*m + g; x = x - eta*m", "--weak-order", "2", "--rho-exponent", "1")
    assert outcome.code == 0
    assert "19/2" in outcome.out


X = sympy.Symbol("x1")
POINT = torch.tensor([0.3], dtype=torch.float64)


def _torch_sgd(losses, settings, steps=6):
    """torch.optim.SGD on one loss after the other: positions after each step."""
    x = torch.nn.Parameter(POINT.clone())
    optimizer = torch.optim.SGD([x], lr=0.1, **settings)
    found = []
    for step in range(steps):
        optimizer.zero_grad()
        losses[step % len(losses)](x).backward()
        optimizer.step()
        found.append(x.item())
    return found


TORCH = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "weight_decay": 0.05},
    {"momentum": 0.5, "weight_decay": 0.05, "nesterov": True},
    {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
]


@pytest.mark.parametrize("settings", TORCH, ids=str)
def test_steps_of_torch(settings):
    """Six steps, two losses in turn; torch's buffer begins with the whole first step, whatever the dampening."""
    landscape = FormulaLandscape([X], [X**2 + X**4 / 3, X**2 / 2 - X])
    losses = [lambda x: (x**2 + x**4 / 3).sum(), lambda x: (x**2 / 2 - x).sum()]
    named = {"beta" if k == "momentum" else k: v for k, v in settings.items()}
    recursion = heavy_ball(RULES["sgd"], **{"beta": 0, **named})
    blocks = {name: torch.zeros(1, dtype=torch.float64) for name in recursion.blocks} | {"x": POINT}
    if settings.get("dampening"):
        first = torch.autograd.grad(losses[0](p := POINT.clone().requires_grad_()), p)[0] + 0.1 * POINT
        blocks["m"] = first * 0.3 / 0.9
    for step, truth in enumerate(_torch_sgd(losses, settings)):
        moved = recursion_step(landscape, recursion, blocks, 0.1, 0.0)
        blocks = {name: block[step % 2] for name, block in moved.items()}
        assert blocks["x"].item() == pytest.approx(truth, rel=1e-13)


def test_decay_in_the_loss_is_a_landscape_with_decay():
    """USAM with weight decay in its gradients is USAM on losses with a penalty; not so with decay beside the ascent."""
    decay = Fraction(1, 5)
    plain = FormulaLandscape([X], [X**2 + X**4 / 3, X**2 / 2 - X])
    penalised = FormulaLandscape([X], [f + X**2 / 10 for f in (X**2 + X**4 / 3, X**2 / 2 - X)])

    def after(landscape, rule, **settings):
        recursion = heavy_ball(rule, beta=0, **settings)
        return recursion_step(landscape, recursion, {"x": POINT}, 0.1, 0.5)["x"]

    truth = after(penalised, RULES["usam"])
    torch.testing.assert_close(after(plain, regularised(RULES["usam"].step, decay)), truth, rtol=1e-13, atol=0)
    assert not torch.allclose(after(plain, RULES["usam"], weight_decay=decay), truth, rtol=1e-3)


def test_schedules_outside_and_inside_the_buffer():
    falling = Schedule("1 - t/10")
    outside, inside = (heavy_ball(RULES["sgd"], schedule=falling, inside=each) for each in (False, True))
    assert (outside.step, inside.step) == ("m = 9*m/10 + g; x = x - eta*s*m", "m = 9*m/10 + s*g; x = x - eta*m")
    assert derive(outside, 2, 1).correction[0] != derive(inside, 2, 1).correction[0]


def test_rules_keep_their_smoothness():
    assert heavy_ball(Rule("mine", grad(rho * grad()), smoothness=2)).smoothness == 2
