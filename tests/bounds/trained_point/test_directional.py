"""Derivatives along directions against closed forms; the power iteration climbs."""

import pytest
import torch

from eigensam.bounds import estimate_fourth_derivative, estimate_operator_norm
from eigensam.bounds.trained_point.directional import derivative_along, estimate_third_partial
from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape


def power_of_a_linear_form(power, a):
    """f(w) = (w . a)^power at a point where w . a = 1, whose derivative of order ``power`` is a constant."""
    a = torch.tensor([a], dtype=torch.float64)
    model = torch.nn.Linear(a.shape[1], 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(a / a.square().sum())
    return NetworkLandscape.from_tensors(model, lambda o, t: (o**power).mean(), a, torch.zeros(1)), a[0]


@pytest.mark.parametrize("order", [3, 4])
def test_a_power_in_closed_form(order):
    """D^k f = k! a x ... x a, of operator norm k! |a|^k, which one step of the iteration finds."""
    f, a = power_of_a_linear_form(order, [1.0, 2.0, -1.0])
    factorial = {3: 6, 4: 24}[order]
    v = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]], dtype=torch.float64))
    norm, along = estimate_operator_norm(f, f.point(), v, order=order)
    products = v @ a
    assert along.tolist() == pytest.approx((factorial * products**order).tolist(), rel=1e-9)
    assert norm == pytest.approx(factorial * float(products.abs().max()) ** (order - 1) * float(a.norm()), rel=1e-9)
    climbed, _ = estimate_operator_norm(f, f.point(), v, order=order, ascents=1)
    assert climbed == pytest.approx(factorial * float(a.norm()) ** order, rel=1e-9)
    assert climbed > 1.1 * norm
    if order == 4:
        assert estimate_fourth_derivative(f, f.point(), v) == norm


def test_against_differences():
    """A smooth network: third derivative by differences of Hessian products."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).double()
    inputs, targets = torch.randn(20, 4).double(), torch.arange(20) % 3
    f = NetworkLandscape.from_tensors(model, torch.nn.functional.cross_entropy, inputs, targets)
    x, v = f.point(), torch.randn(f.dim).double()
    v /= v.norm()
    h = 1e-4
    third = (f.hessian_product(x + h * v, v) - f.hessian_product(x - h * v, v)) / (2 * h)
    assert derivative_along(f, x, v, 3).tolist() == pytest.approx(third.tolist(), abs=1e-6)
    partials = []
    for i in (0, 7):
        e = torch.zeros(f.dim).double()
        e[i] = 1
        partials.append(
            float(((f.hessian_product(x + h * e, e) - f.hessian_product(x - h * e, e)) / (2 * h)).abs().max())
        )
    found = estimate_third_partial(f, x, torch.tensor([0, 7]))
    assert found == pytest.approx(max(partials), abs=1e-6)


def test_refused_directions():
    f, _ = power_of_a_linear_form(4, [1.0, 1.0, 1.0])
    for rows in (
        torch.empty(0, 3),
        2 * torch.eye(3),
        torch.zeros(1, 3),
        torch.eye(3)[0],
        torch.full((1, 3), torch.nan),
    ):
        with pytest.raises(InputError, match="need at least one row, each of length 1"):
            estimate_fourth_derivative(f, f.point(), rows.double())


def test_a_derivative_that_is_not_finite():
    f, _ = power_of_a_linear_form(4, [1e100, 0.0])
    with pytest.raises(InputError, match="not finite at the trained point"):
        estimate_operator_norm(f, f.point(), torch.eye(2)[:1].double(), order=4)
