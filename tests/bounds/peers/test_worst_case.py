"""The largest loss in a ball: quadratics in closed form, a dense grid, networks, and a start that cannot climb."""

import json
import math

import numpy as np
import pytest
import sympy
import torch
from torch import nn

from eigensam.bounds import BoundedCrossEntropy, smoothness_of_linear, worst_case_loss
from eigensam.bounds.peers.ascent import Ball, ascend, dot, norm
from eigensam.bounds.peers.trust_region import largest_in_ball
from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape, NetworkLandscape, Quadratic

D = torch.float64


def _quadratic(rng, d, shift=1.0):
    root = rng.normal(size=(d, d))
    hessian = (root + root.T) / 2
    return hessian, Quadratic(torch.tensor(hessian), centres=torch.tensor(shift * rng.normal(size=(1, d))))


def test_quadratics_of_both_signs_against_the_secular_equation():
    """In full: given all eigenvectors, the largest value in the ball is found, and the second order predicts it."""
    rng = np.random.default_rng(0)
    for _ in range(12):
        d, r = int(rng.integers(1, 9)), 10.0 ** rng.uniform(-1, 0.5)
        hessian, f = _quadratic(rng, d)
        x = torch.tensor(rng.normal(size=d))
        base, g = float(f.loss(x)), f.gradient(x)
        truth = base + largest_in_ball(g.numpy(), hessian, r)[0]
        found = worst_case_loss(f, x, r, directions=torch.tensor(np.linalg.eigh(hessian)[1].T.copy()), random_starts=0)
        assert found.second_order == pytest.approx(truth, rel=1e-9)
        assert found.value == pytest.approx(truth, rel=1e-9)
        assert found.first_order == pytest.approx(base + r * float(g.norm()), rel=1e-12)
        assert found.value <= truth + 1e-12 * abs(truth)


def test_ascent_alone_reaches_the_top_of_quadratics():
    """Without directions: from the gradient and two random starts, to what is left of a step that rounding hides."""
    rng = np.random.default_rng(1)
    for _ in range(12):
        d, r = int(rng.integers(2, 20)), 10.0 ** rng.uniform(-1, 0.5)
        hessian, f = _quadratic(rng, d)
        x = torch.tensor(rng.normal(size=d))
        truth = float(f.loss(x)) + largest_in_ball(f.gradient(x).numpy(), hessian, r)[0]
        found = worst_case_loss(f, x, r, gradients=1000)
        assert found.converged
        assert found.rise == pytest.approx(truth - found.loss, rel=1e-5)


def test_a_dense_grid_in_two_dimensions():
    """Several local maxima in the ball; the grid has 4 million points."""
    u, v = sympy.symbols("u v")
    f = FormulaLandscape([u, v], [sympy.sin(3 * u) * sympy.cos(2 * v) + u * v / 5, sympy.cos(u - 2 * v) + u**2 / 9])
    for x in ([0.3, -0.2], [1.0, 2.0]):
        x, r = torch.tensor(x, dtype=D), 1.5
        radii, angles = torch.linspace(0, r, 401, dtype=D), torch.linspace(0, 2 * math.pi, 1001, dtype=D)
        points = x + torch.stack([radii[:, None] * angles.cos(), radii[:, None] * angles.sin()], -1)
        truth = float(f.loss(points.view(-1, 1, 2)).max())
        found = worst_case_loss(f, x, r, random_starts=8, gradients=400)
        assert truth - 1e-12 <= found.value <= truth + 1e-4
        # wrong on purpose: the first-order prediction is not the largest loss, by far more than the grid resolves
        assert abs(found.first_order - truth) > 0.05


def test_where_the_gradient_is_zero():
    """At a minimum, a saddle and a maximum. The gradient alone is refused; what else is given finds the way up."""
    top = torch.tensor([[1.0, 0.0, 0.0]], dtype=D)
    for eigenvalues in ([3.0, 1.0, 0.5], [3.0, -1.0, -2.0]):
        f, x = Quadratic(torch.diag(torch.tensor(eigenvalues)), centres=[[0.0, 0.0, 0.0]]), torch.zeros(3, dtype=D)
        with pytest.raises(InputError, match="no direction to climb in"):
            worst_case_loss(f, x, 0.5, random_starts=0)
        found = worst_case_loss(f, x, 0.5, directions=top, random_starts=0)
        assert found.value == pytest.approx(3 * 0.25 / 2, rel=1e-12)
        assert found.second_order == pytest.approx(3 * 0.25 / 2, rel=1e-12)
        assert found.first_order == found.loss == 0
        alone = worst_case_loss(f, x, 0.5)
        assert alone.value == pytest.approx(3 * 0.25 / 2, rel=1e-6)
        assert alone.second_order is None
        assert alone.start.startswith("random")
    peak = Quadratic(-torch.eye(2, dtype=D), centres=[[0.0, 0.0]])
    found = worst_case_loss(peak, torch.zeros(2, dtype=D), 0.5)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.rise >= 0


def test_the_gradient_alone_is_caught():
    """Wrong on purpose: f = (3 u^2 + v^2)/2 + v/10 has its gradient along v and stays there, a third below the top."""
    f = Quadratic(torch.diag(torch.tensor([3.0, 1.0], dtype=D)), centres=[[0.0, -0.1]])
    x = torch.zeros(2, dtype=D)
    truth = float(f.loss(x)) + largest_in_ball(np.array([0.0, 0.1]), np.diag([3.0, 1.0]), 1.0)[0]
    wrong = worst_case_loss(f, x, 1.0, random_starts=0)
    assert wrong.start == "gradient"
    assert wrong.value < 0.5 * truth
    for others in ({"random_starts": 1}, {"directions": torch.eye(2, dtype=D)[:1], "random_starts": 0}):
        assert worst_case_loss(f, x, 1.0, **others).value == pytest.approx(truth, rel=1e-6)


def test_the_value_never_falls_and_stays_in_the_ball():
    """One more gradient never finds less, on a bumpy function whose steps must be cut."""
    u, v = sympy.symbols("u v")
    f = FormulaLandscape([u, v], [sympy.sin(9 * u) + sympy.cos(7 * v) * u])
    ball = Ball(f, torch.tensor([0.2, 0.1], dtype=D), 0.8)
    start = torch.tensor([0.0, 0.8], dtype=D)
    base, first = ball.loss(torch.zeros(2, dtype=D)), ball.loss(start)
    values = [first]
    for gradients in range(1, 25):
        ended = ascend(ball, start, first, base, gradients)
        assert ended.gradients <= gradients
        assert norm(ended.perturbation) <= 0.8 * (1 + 1e-12)
        assert ended.value == ball.loss(ended.perturbation)
        values.append(ended.value)
    assert values == sorted(values)
    assert values[-1] > values[0]
    assert ascend(ball, start, first, base, 0).value == first


def test_a_hundred_long_steps():
    """Every step is a success and enlarges the next one, which must not overflow float32: close eigenvalues."""
    f = Quadratic(torch.diag(torch.tensor([1.05, 1.0], dtype=D)), centres=[[0.0, 0.0]]).to(torch.float32)
    ball, start = Ball(f, torch.zeros(2), 1.0), torch.tensor([0.1, math.sqrt(0.99)])
    ended = ascend(ball, start, ball.loss(start), 0.0, 200)
    assert ended.converged
    assert ended.gradients > 60
    assert ended.value == pytest.approx(0.525, rel=1e-3)


def _network(dtype, width=300):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 5))
    generator = torch.Generator().manual_seed(1)
    data = torch.randn(40, 20, generator=generator).to(dtype), torch.arange(40) % 5
    loss = nn.functional.cross_entropy
    return NetworkLandscape.from_tensors(model.to(dtype), loss, *data, batch_size=20, check=False)


def test_a_network_of_a_hundred_thousand_parameters():
    """float32 finds what float64 finds; the worst case is far above the mean of random directions of that length."""
    found = {}
    for dtype in (torch.float32, D):
        f = _network(dtype)
        x = f.point()
        assert len(x) > 90_000
        found[dtype] = worst_case_loss(f, x, 0.5, gradients=12, random_starts=1, draws=2)
        ended = found[dtype]
        assert ended.gradients <= 12
        assert ended.perturbation.dtype == dtype
        assert norm(ended.perturbation) <= 0.5 * (1 + 1e-6)
        assert float(f.loss(x + ended.perturbation)) == pytest.approx(ended.value, rel=1e-6)
        assert ended.first_order < ended.value
        assert ended.rise > 100 * abs(ended.gaussian_mean - ended.loss)
    single, double = found.values()
    for name in ("value", "loss", "second_order", "first_order", "gaussian_mean"):
        assert getattr(single, name) == pytest.approx(getattr(double, name), rel=1e-4)


def test_below_what_smoothness_proves():
    """A linear classifier: ``max <= f + r |g| + L r^2 / 2`` with the proved constant, which makes a certificate."""
    torch.manual_seed(0)
    model, loss = nn.Linear(6, 3).double(), BoundedCrossEntropy(1e-2)
    inputs = torch.randn(50, 6, dtype=D)
    inputs /= inputs.norm(dim=1, keepdim=True)
    f = NetworkLandscape.from_tensors(model, loss, inputs, torch.arange(50) % 3)
    constant = smoothness_of_linear(model, loss, squared_input_norm=1).gradient_lipschitz
    for r in (0.1, 1.0, 3.0):
        found = worst_case_loss(f, f.point(), r)
        assert found.value <= found.first_order + constant * r**2 / 2
        assert found.value <= 1
    assert found.value > found.first_order  # so that the constant is needed


def test_kinks_do_not_stop_the_climb():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 30), nn.ReLU(), nn.Linear(30, 3)).double()
    data = torch.randn(9, 4, dtype=D), torch.arange(9) % 3
    f = NetworkLandscape.from_tensors(model, nn.functional.cross_entropy, *data)
    found = worst_case_loss(f, f.point(), 0.3)
    assert found.value >= found.starts[0].first > found.loss


def test_mean_of_a_quadratic():
    """``f + r^2 tr H / (2d)``; the odd part, which is large, cancels in pairs."""
    rng = np.random.default_rng(2)
    hessian, f = _quadratic(rng, 12, shift=100.0)
    x = torch.tensor(rng.normal(size=12))
    found = worst_case_loss(f, x, 0.5, draws=400, gradients=2, random_starts=0)
    assert found.sigma == pytest.approx(0.5 / math.sqrt(12))
    truth = found.loss + 0.25 * np.trace(hessian) / 24
    assert abs(found.gaussian_mean - truth) < 4 * found.gaussian_error
    assert 0 < found.gaussian_error < 0.1
    assert worst_case_loss(f, x, 0.5, draws=1).gaussian_error == 0


def test_budget_order_and_record():
    """The best start first; all gradients counted; the dictionary is JSON."""
    hessian, f = _quadratic(np.random.default_rng(3), 30)
    x, tops = torch.zeros(30, dtype=D), torch.tensor(np.linalg.eigh(hessian)[1][:, -2:].T.copy())
    for gradients in (2, 3, 9, 60):
        found = worst_case_loss(f, x, 0.1, directions=tops, gradients=gradients)
        assert found.gradients <= gradients
        assert found.gradients == 1 + sum(start.gradients for start in found.starts)
        firsts = [start.first for start in found.starts]
        assert firsts == sorted(firsts, reverse=True)
        assert all(start.last >= start.first for start in found.starts)
        assert found.value == max(start.last for start in found.starts)
    names = {"gradient", "trust region", "random 1", "random 2", *(f"direction {i} {s}" for i in (1, 2) for s in "+-")}
    assert {start.name for start in found.starts} == names
    assert found.products == 3
    record = json.loads(json.dumps(found.to_dict()))
    assert record["kind"] == "estimate"
    assert record["rise"] == found.value - found.loss
    assert "perturbation" not in record
    again = worst_case_loss(f, x, 0.1, directions=7 * tops, gradients=60)  # lengths do not matter; same seed
    assert again.value == pytest.approx(found.value, rel=1e-12)
    assert again.gaussian_mean == found.gaussian_mean


def test_long_inner_products():
    """Pieces add up to the whole; squares of short float32 vectors do not vanish."""
    z = torch.randn(3_000_001, generator=torch.Generator().manual_seed(0))
    assert dot(z, z) == pytest.approx(float(z.double() @ z.double()), rel=1e-12)
    assert norm(1e-30 * torch.ones(4)) == pytest.approx(2e-30)


def test_refusals():
    f, x = Quadratic(torch.eye(2, dtype=D), centres=[[1.0, 0.0]]), torch.zeros(2, dtype=D)
    for radius in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="radius"):
            worst_case_loss(f, x, radius)
    with pytest.raises(InputError, match=r"below what torch\.float32 resolves"):
        worst_case_loss(f.to(torch.float32), torch.ones(2), 1e-9)
    with pytest.raises(InputError, match=r"x is of type torch\.float32"):
        worst_case_loss(f, x.float(), 0.1)
    for wrong in (torch.zeros(3, dtype=D), torch.zeros(1, 2, dtype=D), torch.tensor([math.nan, 0.0], dtype=D)):
        with pytest.raises(InputError, match="x has shape"):
            worst_case_loss(f, wrong, 0.1)
    for directions in (torch.ones(2, dtype=D), torch.ones(1, 3, dtype=D)):
        with pytest.raises(InputError, match="directions have shape"):
            worst_case_loss(f, x, 0.1, directions=directions)
    for directions in (torch.zeros(1, 2, dtype=D), torch.tensor([[math.nan, 1.0]], dtype=D)):
        with pytest.raises(InputError, match="directions have lengths"):
            worst_case_loss(f, x, 0.1, directions=directions)
    for wrong in ({"gradients": 1}, {"random_starts": -1}, {"draws": 0}, {"seed": 0.5}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            worst_case_loss(f, x, 0.1, **wrong)
    u = sympy.Symbol("u")
    with pytest.raises(InputError, match=r"loss is (inf|nan) at a point of the ball"):
        worst_case_loss(FormulaLandscape([u], [sympy.exp(400 * u)]), torch.ones(1, dtype=D), 1.0)
    with pytest.raises(InputError, match="loss is nan at a point of the ball"):
        worst_case_loss(FormulaLandscape([u], [sympy.log(u)]), torch.ones(1, dtype=D), 2.0)
    with pytest.raises(InputError, match="gradient is not finite"):
        worst_case_loss(FormulaLandscape([u], [sympy.sqrt(u)]), torch.zeros(1, dtype=D), 1.0)
