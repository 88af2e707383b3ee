"""The mean loss at several points: when minibatches make one batch, and when points pass together."""

import functools

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic
from eigensam.sde.simulation.networks.mean_loss import MeanLoss
from eigensam.sde.simulation.networks.network_observables import NetworkObservables

from .small_networks import D, data, dense_hessian, landscape, points


class Centred(nn.Module):
    """Couples the examples of a batch, by hand and in each mode."""

    def forward(self, x):
        return x - x.mean(0)


class Branching(nn.Module):
    """Looks at its numbers, which vmap cannot map."""

    def forward(self, x):
        return torch.tanh(x) if float(x.detach().sum()) > -1e9 else x


class OnceOnly(torch.autograd.Function):
    """Its second derivative is refused."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (1 - torch.tanh(x) ** 2)


class Once(nn.Module):
    def forward(self, x):
        return OnceOnly.apply(x)


def network(middle, loss=cross_entropy, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 6), middle, nn.Linear(6, 4)).double()
    return NetworkLandscape.from_tensors(model, loss, *data("mlp"), batch_size=6, **options)


def check_all(f, mean, count=3):
    """Values, gradients and products are the landscape's own, minibatch by minibatch."""
    x = points(f, count)
    v = torch.randn(count, f.dim, dtype=D, generator=torch.Generator().manual_seed(2))
    at = mean.linearised(x)
    losses = torch.stack([torch.stack([f.minibatch_loss(p, m) for m in range(f.size)]).mean() for p in x])
    torch.testing.assert_close(at.losses, losses.detach(), rtol=1e-10, atol=0)
    gradients = torch.stack([torch.stack([f.minibatch_gradient(p, m) for m in range(f.size)]).mean(0) for p in x])
    torch.testing.assert_close(at.gradients, gradients, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(mean.gradients(x), gradients, rtol=1e-9, atol=1e-12)
    for _ in range(2):
        products = f.hessian_product(x[:, None], v[:, None])
        torch.testing.assert_close(at.product(v), products, rtol=1e-7, atol=1e-9)


WEIGHTED = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.2, 1.0], dtype=D))


@pytest.mark.parametrize(
    ("f", "merged", "together"),
    [
        (network(nn.Tanh()), True, True),
        (network(nn.Tanh(), chunk_size=4), True, True),
        (network(nn.Tanh(), points_per_pass=3), True, True),
        (network(nn.Tanh(), parameters=["0.*"]), True, True),
        (network(nn.Tanh(), WEIGHTED), False, True),  # minibatches count differently
        (network(nn.Tanh(), functools.partial(cross_entropy, reduction="sum")), False, True),
        (network(Centred()), False, True),
        (network(Branching()), True, False),
        (network(nn.Tanh(), route="taylor"), True, False),
        (landscape("batch norm"), False, False),
        (landscape("batch norm", mode="eval"), True, True),
        (landscape("cnn"), True, True),
    ],
)
def test_one_batch_where_that_is_the_same_function(f, merged, together):
    mean = MeanLoss(f)
    assert (mean.merged, mean.together > 1) == (merged, together)
    check_all(f, mean)
    for memory in (1, 40_000):
        check_all(f, MeanLoss(f, memory=memory))


def test_one_batch_for_all_would_be_wrong_there():
    """Wrong on purpose: the functions that are kept apart do differ, by far more than rounding."""
    for f in (network(nn.Tanh(), WEIGHTED), network(Centred()), landscape("batch norm")):
        whole = NetworkLandscape(f.network.model, f.network.loss_function, [data("mlp")], mode=f.network.mode)
        if f.batches[0][0].ndim > 2:
            whole = landscape("batch norm", batch_size=24)
        x = points(f, 1)[0]
        assert abs(float(whole.loss(x) / f.loss(x)) - 1) > 1e-4


def test_a_forward_function_of_ones_own():
    model = nn.Linear(8, 4).double()
    inputs, targets = data("mlp")
    f = NetworkLandscape(
        model,
        lambda outputs, batch: cross_entropy(outputs, batch["y"]),
        [{"x": inputs[i : i + 6], "y": targets[i : i + 6]} for i in range(0, 24, 6)],
        forward=lambda model, batch: model(batch["x"]),
    )
    mean = MeanLoss(f)
    assert not mean.merged
    check_all(f, mean)


def test_parts_of_the_points():
    mean = MeanLoss(landscape("mlp"))
    assert [(part.start, part.stop) for part in mean.parts(7)] == [(0, 7)]
    few = MeanLoss(landscape("mlp"), memory=40_000)
    assert 1 < few.together < 7
    assert sum(part.stop - part.start for part in few.parts(7)) == 7
    assert [(part.start, part.stop) for part in MeanLoss(landscape("mlp"), memory=1).parts(2)] == [(0, 1), (1, 2)]
    assert len(list(MeanLoss(Quadratic([[1.0]], centres=[[0.0]])).parts(9))) == 1


@pytest.mark.parametrize("kind", ["mlp", "batch norm"])
def test_each_minibatch(kind):
    f = landscape(kind)
    x = points(f, 2)
    v = torch.ones_like(x)
    for m, mean in enumerate(MeanLoss.of_minibatches(f)):
        hessians = torch.stack([dense_hessian(f, p, [f.batches[m]])[0] for p in x])
        torch.testing.assert_close(mean.linearised(x).product(v), hessians @ v[0], rtol=1e-8, atol=1e-10)


def test_inference_mode_and_no_grad():
    f = landscape("mlp")
    observables = NetworkObservables(f)
    x = points(f, 2)
    expected = observables(x)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = observables(x.clone())
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_differences_where_torch_refuses_second_derivatives():
    f = network(Once())
    mean = MeanLoss(f)
    assert (mean.merged, mean.together) == (True, 1)
    check_all(f, mean, 1)


class StraightThrough(nn.Module):
    """Rounds, and says that it did not: its gradient is that of no function."""

    def forward(self, x):
        return torch.tanh(x + (x.round() - x).detach())


def test_a_loss_without_a_second_derivative_is_refused_before_any_work():
    f = network(StraightThrough())
    with pytest.raises(InputError, match="no derivative of order 2"):
        NetworkObservables(f, ["lambda_1"])
    assert NetworkObservables(f, ["gradient norm"]).names == ("gradient norm",)
    counting = network(nn.Tanh(), lambda z, y: (z.argmax(1) == y).double().mean())
    for name in ("train loss", "lambda_1", "gradient norm"):
        with pytest.raises(InputError, match="does not depend on the parameters"):
            NetworkObservables(counting, [name])
