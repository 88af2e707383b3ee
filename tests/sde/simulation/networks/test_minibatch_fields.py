"""Drift and noise of SDEs on a network against dense matrices made by plain automatic differentiation."""

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian
from torch.autograd.functional import jvp as directional

from eigensam.landscapes import NetworkLandscape, Quadratic
from eigensam.sde import coefficients, derive, find_rule, truncate
from eigensam.sde.rules.bindings import bind
from eigensam.sde.simulation.networks import minibatch_fields
from eigensam.sde.simulation.networks.minibatch_fields import ExactField, SDEField

from .small_networks import perceptron

RHO, ETA = 0.3, 0.1


def loss_gradient(f: NetworkLandscape, x: Tensor, m: int) -> Tensor:
    leaf = x.clone().requires_grad_(True)
    return torch.autograd.grad(f.minibatch_loss(leaf, m), leaf)[0]


def dense_increments(f: NetworkLandscape, x: Tensor, order: int) -> Tensor:
    """SAM's ``-h_m`` up to ``rho^(order - 1)`` by whole Hessians, and a directional derivative of one."""
    rows = []
    for m in range(f.size):
        g = loss_gradient(f, x, m)
        u = g / g.norm()
        total = g.clone()
        if order > 1:
            total += RHO * hessian(lambda y, m=m: f.minibatch_loss(y, m), x) @ u
        if order > 2:
            turned = directional(
                lambda y, m=m, u=u: hessian(lambda p: f.minibatch_loss(p, m), y, create_graph=True) @ u, x, u
            )[1]
            total += RHO**2 / 2 * turned
        rows.append(-total)
    return torch.stack(rows)


@pytest.fixture(scope="module")
def f() -> NetworkLandscape:
    return perceptron()


@pytest.fixture(scope="module")
def x(f: NetworkLandscape) -> Tensor:
    return f.point()


def kicks(field: SDEField | ExactField, x: Tensor, values: dict) -> Tensor:
    """The kick is linear in ``z``: what it makes of unit vectors, shape ``(M, d)``."""
    size = field.landscape.size
    return torch.stack([field.kick(x[None], z[None], values)[0] for z in torch.eye(size, dtype=torch.float64)])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_noise_has_the_dense_covariance(f: NetworkLandscape, x: Tensor, order: int) -> None:
    h = dense_increments(f, x, order)
    wanted = (h - h.mean(0)).T @ (h - h.mean(0)) / f.size
    field = SDEField(f, truncate(find_rule("sam"), "1/3", order), ETA)
    columns = kicks(field, x, {"rho": RHO})
    assert f.dim > 200
    torch.testing.assert_close(columns.T @ columns, wanted, rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(field.drift(x[None], {"rho": RHO})[0], h.mean(0), rtol=1e-9, atol=1e-13)


def test_a_covariance_of_second_moments_is_seen(f: NetworkLandscape, x: Tensor) -> None:
    """Wrong on purpose: without the mean taken off."""
    h = dense_increments(f, x, 1)
    columns = kicks(SDEField(f, truncate(find_rule("sam"), "1/3", 1), ETA), x, {"rho": RHO})
    wrong = h.T @ h / f.size
    assert (columns.T @ columns - wrong).norm() > 0.01 * wrong.norm()


def test_both_in_one_pass_are_each_alone(f: NetworkLandscape, x: Tensor) -> None:
    points = x + 0.1 * torch.randn(3, f.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = torch.randn(3, f.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for sde in (truncate(find_rule("sam"), "1/3", 3), derive(find_rule("usam"), 2, "2/3")):
        field = SDEField(f, sde, ETA)
        drift, kick = field.drift_and_kick(points, z, {"rho": RHO})
        torch.testing.assert_close(drift, field.drift(points, {"rho": RHO}))
        torch.testing.assert_close(kick, field.kick(points, z, {"rho": RHO}))


@pytest.mark.parametrize(
    ("name", "order"), [("sgd", None), ("usam", None), ("dnsam", None), ("sam", None), ("dnsam", 3), ("sam", 3)]
)
def test_fields_are_the_coefficients(f: NetworkLandscape, x: Tensor, name: str, order: int | None) -> None:
    """Of weak order 2, with its correction, and of truncations: the same as the engine of toys."""
    rule = find_rule(name)
    sde = derive(rule, 2, "2/3") if order is None else truncate(rule, "1/3", order)
    points = torch.stack([x, 0.9 * x])
    z = torch.randn(2, f.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = SDEField(f, sde, ETA).drift_and_kick(points, z, {"rho": RHO})
    wanted = coefficients(f, sde, points[:, None], RHO)
    torch.testing.assert_close(found[0], wanted.drift(ETA))
    torch.testing.assert_close(found[1], torch.einsum("pm,pmd->pd", z, wanted.columns()) / f.size**0.5)


@pytest.mark.parametrize("name", ["sam", "usam"])
def test_chunks_of_minibatches_and_points_change_nothing(
    f: NetworkLandscape, x: Tensor, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = torch.stack([x, 0.9 * x, 1.1 * x])
    z = torch.randn(3, f.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sde = truncate(find_rule(name), "1/3", 3)
    whole = SDEField(f, sde, ETA).drift_and_kick(points, z, {"rho": RHO})
    for vectors in (1, 3, 5, 8):
        monkeypatch.setattr(minibatch_fields, "_BYTES", 4 * f.dim * 8 * vectors)
        chunked = SDEField(f, sde, ETA)
        assert chunked._at_a_time == vectors
        for found, wanted in zip(chunked.drift_and_kick(points, z, {"rho": RHO}), whole, strict=True):
            torch.testing.assert_close(found, wanted)


def test_a_rule_that_averages_is_never_cut(f: NetworkLandscape, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNSAM divides by the norm of the mean gradient: of some of the minibatches it would be another one."""
    rule = find_rule("dnsam")
    sde = truncate(rule, "1/3", 2)
    wanted = [SDEField(f, sde, ETA).drift(x[None], {"rho": RHO}), ExactField(f, rule, ETA).drift(x[None], {"rho": RHO})]
    monkeypatch.setattr(minibatch_fields, "_BYTES", 4 * f.dim * 8)
    assert SDEField(f, sde, ETA).averages
    assert ExactField(f, rule, ETA).averages
    torch.testing.assert_close(SDEField(f, sde, ETA).drift(x[None], {"rho": RHO}), wanted[0], rtol=0, atol=0)
    torch.testing.assert_close(ExactField(f, rule, ETA).drift(x[None], {"rho": RHO}), wanted[1], rtol=0, atol=0)


def test_the_exact_field_is_the_rule(f: NetworkLandscape, x: Tensor) -> None:
    rows = []
    for m in range(f.size):
        g = loss_gradient(f, x, m)
        rows.append(-loss_gradient(f, x + RHO * g / g.norm(), m))
    h = torch.stack(rows)
    field = ExactField(f, find_rule("sam"), ETA)
    torch.testing.assert_close(field.drift(x[None], {"rho": RHO})[0], h.mean(0))
    columns = kicks(field, x, {"rho": RHO})
    torch.testing.assert_close(columns.T @ columns, (h - h.mean(0)).T @ (h - h.mean(0)) / f.size)


def test_directions_may_differ_by_point_and_minibatch() -> None:
    """Eigen-SAM on a quadratic in closed form: ``h = -A (x - c + rho u)``, each point and minibatch with its own v."""
    a = torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64))
    f = Quadratic(a, centres=[[0.0, 0.0], [1.0, 1.0]])
    points = torch.tensor([[1.0, 2.0], [-1.0, 0.5]], dtype=torch.float64)
    v = torch.nn.functional.normalize(
        torch.randn(2, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=-1
    )
    g = (points[:, None] - torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)) @ a
    unit = g / g.norm(dim=-1, keepdim=True)
    inner = (g * v).sum(-1, keepdim=True)
    u = unit + 0.5 * inner.sign() * (v - (v * unit).sum(-1, keepdim=True) * unit)
    wanted = -(g + RHO * u @ a)
    rule = find_rule("eigen-sam")
    values = {**bind(rule, f, RHO, {"alpha": 0.5, "v": v[0, 0]}), "v": v}
    for field in (SDEField(f, truncate(rule, "1/3", 3), ETA), ExactField(f, rule, ETA)):
        torch.testing.assert_close(field.drift(points, values), wanted.mean(1))
