"""Rates of the top eigenvalue against differences of dense eigenvalues, and shares against the decomposition."""

import pytest
import torch
from torch import nn

from eigensam.landscapes import NetworkLandscape, decompose_drift, top_eigenpairs
from eigensam.optim import eigen_perturbation
from eigensam.paper_figures.measurements.eigenvalue_rates import eigenvalue_rates

RHO = 0.3


def _unit(g):
    return g / g.norm()


@pytest.fixture(params=[False, True], ids=["plain", "batch norm"])
def landscape(request):
    torch.manual_seed(0)
    norm = [nn.BatchNorm1d(3, dtype=torch.float64)] if request.param else []
    model = nn.Sequential(nn.Linear(4, 3, dtype=torch.float64), *norm, nn.Tanh(), nn.Linear(3, 3, dtype=torch.float64))
    data = torch.randn(24, 4, dtype=torch.float64), torch.arange(24) % 3
    return NetworkLandscape.from_tensors(model, nn.functional.cross_entropy, *data, batch_size=8, mode="train")


def _losses(f, x):
    """The minibatches' losses, written out: torch's own batch norm has no third derivative, or a wrong one."""
    shapes = [p.shape for p in f.network.model.parameters()]
    parts = torch.split(x, [shape.numel() for shape in shapes])
    first, shift, *norm, last, end = (part.view(shape) for part, shape in zip(parts, shapes, strict=True))
    found = []
    for inputs, targets in f.batches:
        hidden = inputs @ first.T + shift
        if norm:
            centred = hidden - hidden.mean(0)
            hidden = centred / (centred.square().mean(0) + 1e-5).sqrt() * norm[0] + norm[1]
        outputs = torch.tanh(hidden) @ last.T + end
        found.append(-outputs.log_softmax(1)[torch.arange(len(targets)), targets].mean())
    return torch.stack(found)


def _dense(f, x):
    return torch.autograd.functional.hessian(lambda y: _losses(f, y).mean(), x)


def test_rates_are_differences_of_eigenvalues(landscape):
    f = landscape
    x = f.point()
    pairs = top_eigenpairs(f, x, tolerance=1e-10)
    v = pairs.vectors[0]
    asked = {"sam": (RHO, _unit), "eigen": (RHO, lambda g: eigen_perturbation(g, v, 1.0))}
    found = eigenvalue_rates(f, pairs, asked)
    top = torch.linalg.eigvalsh(_dense(f, x))[-1]
    for name, (_, perturbation) in asked.items():
        terms = {"gradient": torch.zeros_like(x), "second": torch.zeros_like(x), "third": torch.zeros_like(x)}
        for m in range(f.size):
            loss = lambda y, m=m: _losses(f, y)[m]  # noqa: E731
            gradient = torch.func.grad(loss)
            u = perturbation(gradient(x))
            product = lambda y, u=u, gradient=gradient: torch.func.jvp(gradient, (y,), (u,))[1]  # noqa: E731
            terms["gradient"] += gradient(x) / f.size
            terms["second"] += RHO * product(x) / f.size
            terms["third"] += RHO**2 / 2 * torch.func.jvp(product, (x,), (u,))[1] / f.size
        for term, direction in terms.items():
            step = 1e-4 / float(direction.norm())
            ends = [torch.linalg.eigvalsh(_dense(f, x - sign * step * direction))[-1] for sign in (1, -1)]
            assert found[name][term] == pytest.approx(float((ends[0] - ends[1]) / (2 * step * top)), rel=1e-4)
    assert found["sam"]["third"] != pytest.approx(found["eigen"]["third"], rel=1e-2)  # wrong on purpose: another u


def test_shares_are_those_of_the_decomposition(landscape):
    x = landscape.point()
    pairs = top_eigenpairs(landscape, x)
    for perturbation in (_unit, lambda g: eigen_perturbation(g, pairs.vectors[0], 0.5)):
        found = eigenvalue_rates(landscape, pairs, {"u": (RHO, perturbation)})["u"]
        theirs = decompose_drift(landscape, x, pairs, RHO, perturbation=perturbation)
        assert found["share"] == pytest.approx(theirs.explained, rel=1e-8)
        assert found["squared_alignment"] == pytest.approx(float(theirs.squared_alignments[0]), rel=1e-8)


def test_length_is_that_of_the_perturbations(landscape):
    pairs = top_eigenpairs(landscape, landscape.point())
    found = eigenvalue_rates(landscape, pairs, {"u": (RHO, lambda g: 3 * _unit(g))})
    assert found["u"]["length"] == pytest.approx(3.0)
