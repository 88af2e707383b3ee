"""Eigen-SAM: eq. 8 densely, alpha = 0 is SAM, refreshes, both eigensolvers."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from eigensam.ground import InputError
from eigensam.optim import SAM, EigenSAM, eigen_perturbation

DATA = torch.randn(12, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64), torch.arange(12) % 2


def _model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()


def _closure(model):
    return lambda: cross_entropy(model(DATA[0]), DATA[1])


def _flat(model):
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def _dense(model):
    """Gradient and Hessian of the closure's loss at the model's parameters."""
    shapes = {name: p.shape for name, p in model.named_parameters()}

    def loss(x):
        parts = x.split([s.numel() for s in shapes.values()])
        state = {name: part.view(s) for (name, s), part in zip(shapes.items(), parts, strict=True)}
        return cross_entropy(torch.func.functional_call(model, state, (DATA[0],)), DATA[1])

    x = _flat(model)
    return torch.func.grad(loss)(x), torch.func.hessian(loss)(x)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("solver", ["power", "lanczos"])
def test_alpha_zero_is_sam_to_rounding(normalize, solver):
    model, twin = _model(), _model()
    ours = EigenSAM(model.parameters(), rho=0.2, alpha=0.0, normalize=normalize, solver=solver, lr=0.3, momentum=0.9)
    sam = SAM(twin.parameters(), rho=0.2, lr=0.3, momentum=0.9)
    for _ in range(5):
        ours.step(_closure(model))
        sam.step(_closure(twin))
    torch.testing.assert_close(_flat(model), _flat(twin), rtol=1e-13, atol=1e-15)
    # and alpha > 0 is not SAM
    other = _model()
    turned = EigenSAM(other.parameters(), rho=0.2, alpha=0.2, normalize=normalize, solver=solver, lr=0.3, momentum=0.9)
    for _ in range(5):
        turned.step(_closure(other))
    assert not torch.allclose(_flat(other), _flat(twin), rtol=1e-3)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("solver", ["power", "lanczos"])
def test_perturbation_is_equation_8_computed_densely(alpha, solver):
    """The point of the second pass, against eigh of the dense Hessian and eq. 8 written with matrices."""
    model = _model()
    x = _flat(model)
    g, hessian = _dense(model)
    values, vectors = torch.linalg.eigh(hessian)
    assert values[-1] > -values[0]  # so that both solvers look for the same eigenvector
    v, projector = vectors[:, -1], torch.outer(g, g) / (g @ g)
    u = g / g.norm() + alpha * torch.sign(g @ v) * (v - projector @ v)
    visited = []

    def closure():
        visited.append(_flat(model))
        return _closure(model)()

    iterations = 200 if solver == "power" else 30
    options = {"rho": 0.1, "alpha": alpha, "normalize": False, "solver": solver, "iterations": iterations}
    EigenSAM(model.parameters(), **options, check=False, lr=0.1).step(closure)
    refreshed, first, second = visited
    assert torch.equal(refreshed, x)
    assert torch.equal(first, x)
    torch.testing.assert_close(second - x, 0.1 * u, rtol=1e-6, atol=1e-9)


def test_properties_of_the_perturbation():
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(20, 7, generator=generator, dtype=torch.float64)
    v = torch.nn.functional.normalize(torch.randn(7, generator=generator, dtype=torch.float64), dim=0)
    u = eigen_perturbation(g, v, 0.3)
    cosines = torch.nn.functional.normalize(g) @ v
    # the sign of v does not matter; the part along g is the unit gradient; alignment with v only grows
    torch.testing.assert_close(eigen_perturbation(g, -v, 0.3), u)
    torch.testing.assert_close((u * torch.nn.functional.normalize(g)).sum(1), torch.ones(20, dtype=torch.float64))
    torch.testing.assert_close(u.norm(dim=1), (1 + 0.09 * (1 - cosines**2)).sqrt())
    assert ((u @ v).abs() / u.norm(dim=1) > cosines.abs()).all()
    torch.testing.assert_close(
        eigen_perturbation(g, v, 0.3, normalize=True).norm(dim=1), torch.ones(20, dtype=torch.float64)
    )
    assert eigen_perturbation(torch.zeros(7, dtype=torch.float64), v, 0.3).abs().max() == 0


def test_refreshes_at_steps_1_and_k_plus_1():
    model = _model()
    optimizer = EigenSAM(model.parameters(), rho=0.1, refresh_every=3, check=False, lr=0.1)
    assert optimizer.eigenvector is None
    passes, vectors = [], []

    def closure():
        passes.append(1)
        return _closure(model)()

    for _ in range(7):
        before = len(passes)
        optimizer.step(closure)
        vectors.append(optimizer.eigenvector.clone())
        passes[before:] = [len(passes) - before]
    assert passes == [3, 2, 2, 3, 2, 2, 3]
    assert torch.equal(vectors[0], vectors[2])
    assert not torch.equal(vectors[2], vectors[3])
    assert vectors[0].norm().item() == pytest.approx(1)


def test_power_keeps_the_vector_after_p_products():
    """Algorithm 1: v = H^p v0 / |H^p v0|, from the same seeded start."""
    model = _model()
    _, hessian = _dense(model)
    optimizer = EigenSAM(model.parameters(), rho=0.1, iterations=4, seed=3, solver="power", lr=0.1)
    optimizer.refresh(_closure(model))
    v = torch.randn(len(hessian), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for _ in range(4):
        v = hessian @ v
    torch.testing.assert_close(optimizer.eigenvector, v / v.norm(), rtol=1e-10, atol=1e-12)


def test_a_refresh_starts_from_the_previous_vector():
    model = _model()
    _, hessian = _dense(model)
    optimizer = EigenSAM(model.parameters(), rho=0.1, iterations=1, solver="power", guard=0.0, lr=0.1)
    optimizer.refresh(_closure(model))
    first = optimizer.eigenvector
    optimizer.refresh(_closure(model))
    torch.testing.assert_close(optimizer.eigenvector, torch.nn.functional.normalize(hessian @ first, dim=0))


def test_lanczos_finds_the_largest_eigenvalue_where_power_finds_the_most_negative():
    x = {s: nn.Parameter(torch.tensor([0.3, 0.4], dtype=torch.float64)) for s in ("power", "lanczos")}
    found = {}
    for solver, p in x.items():
        optimizer = EigenSAM([p], rho=0.1, iterations=40, solver=solver, lr=0.1)
        optimizer.step(lambda p=p: 0.5 * (p[0] ** 2 - 3 * p[1] ** 2))
        found[solver] = optimizer.eigenvalue
    assert found == {"power": pytest.approx(-3), "lanczos": pytest.approx(1)}


def test_a_loss_without_curvature_is_sam():
    p, q = (nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64)) for _ in range(2))
    EigenSAM([p], rho=0.1, lr=0.1).step(lambda: (p * torch.tensor([1.0, 3.0])).sum())
    SAM([q], rho=0.1, lr=0.1).step(lambda: (q * torch.tensor([1.0, 3.0])).sum())
    assert torch.allclose(p, q)


def test_float32_and_same_seed_same_steps():
    results = []
    for _ in range(2):
        model = _model().float()
        optimizer = EigenSAM(model.parameters(), rho=0.1, lr=0.1, seed=1)
        for _ in range(3):
            optimizer.step(lambda model=model: cross_entropy(model(DATA[0].float()), DATA[1]))
        assert optimizer.eigenvector.dtype == torch.float32
        results.append(_flat(model))
    assert torch.equal(*results)


def test_attention_has_a_refresh():
    torch.manual_seed(0)
    layer, x = nn.MultiheadAttention(4, 2, batch_first=True), torch.randn(2, 3, 4)
    optimizer = EigenSAM(layer.parameters(), rho=0.1, lr=0.1)
    optimizer.step(lambda: layer(x, x, x, need_weights=False)[0].square().mean())
    assert optimizer.eigenvector.isfinite().all()


def test_a_failed_step_is_refreshed_again():
    model = _model()
    optimizer = EigenSAM(model.parameters(), rho=0.1, lr=0.1, refresh_every=5, check=False)
    calls = []

    def closure():
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("interrupted")
        return _closure(model)()

    with pytest.raises(RuntimeError, match="interrupted"):
        optimizer.step(closure)
    assert optimizer.steps == 0


def test_deepcopy_is_independent():
    model = _model()
    optimizer = EigenSAM(model.parameters(), rho=0.1, lr=0.1)
    optimizer.step(_closure(model))
    twin = copy.deepcopy(optimizer)
    optimizer.step(_closure(model))
    assert (twin.steps, optimizer.steps) == (1, 2)
    assert not torch.equal(twin.param_groups[0]["params"][0], optimizer.param_groups[0]["params"][0])
    assert twin.base.param_groups is twin.param_groups


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": -1.0}, "rho = -1.0 is not a radius"),
        ({"alpha": -0.1}, "alpha = -0.1 is negative"),
        ({"refresh_every": 0}, "refresh_every = 0"),
        ({"iterations": 0}, "iterations = 0"),
        ({"solver": "qr"}, "unknown solver 'qr'; choose one of: lanczos, power"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        EigenSAM(_model().parameters(), lr=0.1, **arguments)


def test_nan_in_a_product_is_refused_and_perturbation_needs_a_vector():
    p = nn.Parameter(torch.tensor([1.0]))
    optimizer = EigenSAM([p], rho=0.1, lr=0.1)
    with pytest.raises(InputError, match="no eigenvector yet"):
        optimizer.perturbation(torch.ones(1))
    with pytest.raises(InputError, match="a loss of inf is not finite"):
        optimizer.step(lambda: (p**3).sum() * float("inf"))
    assert p.item() == 1.0


class _Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


@pytest.mark.parametrize("solver", ["power", "lanczos"])
def test_a_kernel_that_cannot_be_differentiated_twice(solver):
    """``w^3 + w^2 / 2``, the cube a kernel: its curvature was lost, and the eigenvalue was that of the rest, 1."""
    w = torch.nn.Parameter(torch.tensor([2.0, 0.5], dtype=torch.float64))
    optimizer = EigenSAM([w], rho=0.1, iterations=20, solver=solver, lr=0.1)
    assert optimizer.checked == "not checked yet"
    optimizer.refresh(lambda: (_Cube.apply(w) + w**2 / 2).sum())
    assert optimizer.eigenvalue == pytest.approx(13.0, rel=1e-6)
    assert optimizer.checked.startswith("differences at two step sizes agree")


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing_inside_the_model(reentrant):
    """It made the eigenvalue 0, or ended in an error of torch's."""
    model = _model()
    inner = torch.nn.Sequential(*model)

    x = torch.linspace(-1, 1, 12, dtype=torch.float64).view(4, -1).requires_grad_()
    found = []
    for inside in (lambda: checkpoint(inner, x, use_reentrant=reentrant), lambda: model(x)):
        optimizer = EigenSAM(model.parameters(), rho=0.1, iterations=50, lr=0.1)
        optimizer.refresh(lambda inside=inside: inside().square().mean())
        found.append(optimizer.eigenvalue)
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert found[0] > 0.01


def test_dropout_and_other_randomness_are_one_function_in_a_refresh():
    """Masks of torch, noise of numpy's and Python's generators: replayed, so the check sees one loss."""
    model = _model()
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).view(4, -1)

    def closure():
        noise = torch.from_numpy(np.random.standard_normal(x.shape)) + random.random()  # noqa: NPY002
        return torch.nn.functional.dropout(model(x + 0.1 * noise), 0.5, training=True).square().mean()

    optimizer = EigenSAM(model.parameters(), rho=0.1, lr=0.1)
    optimizer.step(closure)
    assert optimizer.checked.startswith("within ")
    own = np.random.default_rng(0)
    other = EigenSAM(model.parameters(), rho=0.1, lr=0.1)
    with pytest.raises(InputError, match="two evaluations at one point differ"):
        other.step(lambda: (model(x + torch.from_numpy(own.standard_normal(x.shape)))).square().mean())
