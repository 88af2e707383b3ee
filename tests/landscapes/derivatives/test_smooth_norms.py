"""The elementary normalisations equal torch's, and have the third derivative that torch's lack."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from eigensam.landscapes.derivatives.smooth_norms import SmoothNorms
from eigensam.landscapes.landscape import contracted_gradient_of, taylor_terms

NORMS = [
    (lambda: nn.BatchNorm1d(3), (6, 3)),
    (lambda: nn.BatchNorm2d(3), (4, 3, 2, 5)),
    (lambda: nn.BatchNorm2d(3, affine=False), (4, 3, 2, 5)),
    (lambda: nn.InstanceNorm1d(3, affine=True), (2, 3, 4)),
    (lambda: nn.LayerNorm(5), (4, 5)),
    (lambda: nn.LayerNorm((2, 5), bias=False), (3, 2, 5)),
    (lambda: nn.LayerNorm(5, elementwise_affine=False), (4, 5)),
]


@pytest.mark.parametrize(("make", "shape"), NORMS)
@pytest.mark.parametrize("training", [True, False])
def test_equals_torch(make, shape, training, f64):
    norm = make().to(f64).train(training)
    for p in norm.parameters():
        nn.init.normal_(p, generator=torch.Generator().manual_seed(1))
    x = 3 + torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=f64)
    truth = norm(x)
    before = {name: b.clone() for name, b in norm.named_buffers() if name.startswith("running")}
    with SmoothNorms(3):
        torch.testing.assert_close(norm(x), truth)
    assert all(torch.equal(b, before[name]) for name, b in norm.named_buffers() if name in before)


FUNCTIONS = {
    "batch": lambda x: F.batch_norm(x, None, None, training=True),
    "instance": lambda x: F.instance_norm(x[None])[0],
    "layer": lambda x: F.layer_norm(x, (6,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_third_derivative_against_differences_of_the_second(name, f64):
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(4, 6, generator=generator, dtype=f64)
    x, u = torch.randn(2, 24, generator=generator, dtype=f64)

    def loss(point):
        return (weights * FUNCTIONS[name](point.view(4, 6)).tanh()).sum()

    step = 1e-5
    second = [contracted_gradient_of(loss, x + sign * step * u, taylor_terms(u, (0.0, 1.0))) for sign in (1, -1)]
    truth = (second[0] - second[1]) / (2 * step)
    torch.testing.assert_close(
        contracted_gradient_of(loss, x, taylor_terms(u, (0.0, 0.0, 1.0))), truth, rtol=1e-5, atol=1e-6
    )

    # The negative control: torch's own kernels raise here or are wrong.
    point = x.clone().requires_grad_(True)
    term = loss(point)
    try:
        for _ in range(2):
            term = torch.autograd.grad(term, point, create_graph=True)[0] @ u
        (wrong,) = torch.autograd.grad(term, point)
    except RuntimeError:
        return
    assert not torch.allclose(wrong, truth, rtol=1e-2)


@pytest.mark.parametrize("order", [1, 2])
def test_weight_norm_against_the_plain_formula(order, f64):
    """Torch's own second derivative of weight norm is wrong."""
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)).to(f64)
    x, u = torch.randn(6, 4, dtype=f64), torch.randn(3 + 3 + 12, dtype=f64)
    point = torch.randn(18, dtype=f64)

    def plain(p):
        g, v = p[3:6].view(3, 1), p[6:].view(3, 4)
        return (F.linear(x, g * v / v.norm(dim=1, keepdim=True), p[:3]).tanh() ** 2).mean()

    def fused(p):
        state = {
            "bias": p[:3],
            "parametrizations.weight.original0": p[3:6].view(3, 1),
            "parametrizations.weight.original1": p[6:].view(3, 4),
        }
        return (torch.func.functional_call(layer, state, (x,)).tanh() ** 2).mean()

    coefficients = [0.0] * order + [1.0]
    truth = contracted_gradient_of(plain, point, taylor_terms(u, coefficients))
    torch.testing.assert_close(contracted_gradient_of(fused, point, taylor_terms(u, coefficients)), truth)
