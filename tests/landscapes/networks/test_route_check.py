"""Wrong derivatives are found, whichever route they are computed by."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import Hessian, NetworkDerivatives, NetworkFunction
from eigensam.landscapes.derivatives import derivative_check as comparisons
from eigensam.landscapes.networks.network_derivatives import NotDifferentiableError
from eigensam.landscapes.networks.route_check import RouteCheck
from eigensam.landscapes.networks.route_comparison import WrongDerivativeError

from .checked_networks import NETWORKS, D, Residual, conv, data, image, products


class Wrong(torch.autograd.Function):
    """A function whose backward pass multiplies by a constant where it should by something that moves."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.detach().clone(), x.tanh())
        return x.tanh()

    @staticmethod
    def backward(ctx, grad):
        _, y = ctx.saved_tensors
        return grad * (1 - y * y)


class Layer(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class WrongNorm(nn.Module):
    """Layer norm whose statistics are detached in the backward pass only: a gradient that is right to no order."""

    def forward(self, x):
        return LayerNormOnce.apply(x)


class LayerNormOnce(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        deviation = x.var(-1, keepdim=True, correction=0).add(1e-5).sqrt()
        normal = (x - x.mean(-1, keepdim=True)) / deviation
        ctx.save_for_backward(normal, deviation)
        return normal

    @staticmethod
    def backward(ctx, grad):
        normal, deviation = ctx.saved_tensors
        centred = grad - grad.mean(-1, keepdim=True) - normal * (grad * normal).mean(-1, keepdim=True)
        return centred / deviation


WRONG = {
    "a tanh": lambda: nn.Sequential(nn.Linear(16, 8), nn.ReLU(), Residual(Layer(Wrong.apply)), nn.Linear(8, 3)),
    "a norm behind a convolution": lambda: image(conv(), nn.ReLU(), WrongNorm(), size=16),
    "a small part": lambda: nn.Sequential(
        nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 8), Layer(lambda z: z + 1e-3 * Wrong.apply(z)), nn.Linear(8, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, D])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_networks_do_not(name, dtype):
    torch.manual_seed(0)
    network = NetworkFunction(WRONG[name]().to(dtype), cross_entropy)
    check = RouteCheck(network)
    with pytest.raises(
        WrongDerivativeError, match=r"off differences of gradients at '.*'; the fault lies in module '.*'"
    ):
        check.admit("reverse", 1, network.point(), data(dtype))
    assert not check.found
    derivatives = NetworkDerivatives(network)
    derivatives.contracted_gradient(network.point(), [(1.0, (network.point(),))], data(dtype))
    assert derivatives.used[1].startswith("difference (refused: reverse: by ")


class OnlySingle(torch.autograd.Function):
    """A kernel that exists in single precision only."""

    @staticmethod
    def forward(ctx, x, wrong):
        if x.dtype != torch.float32:
            raise RuntimeError("this kernel takes float32")
        ctx.save_for_backward(x * 2 if wrong else x)
        ctx.wrong = wrong
        return x**2

    @staticmethod
    def backward(ctx, grad):
        (saved,) = ctx.saved_tensors
        return grad * (saved if ctx.wrong else 2 * saved), None


@pytest.mark.parametrize("wrong", [False, True])
def test_a_network_that_cannot_be_computed_in_float64(wrong):
    torch.manual_seed(0)
    layer = Layer(lambda z: OnlySingle.apply(z, wrong))
    network = NetworkFunction(nn.Sequential(nn.Linear(16, 8), layer), lambda z, y: z.mean())
    check = RouteCheck(network)
    if wrong:  # grossly, which is all that can be seen there
        with pytest.raises(WrongDerivativeError):
            check.admit("reverse", 1, network.point(), data(torch.float32))
    else:
        check.admit("reverse", 1, network.point(), data(torch.float32))
        assert check.found["reverse", 1].startswith("weak check: within ")
        assert check.found["reverse", 1].endswith(" of differences (float32, 8 examples)")


def test_a_network_that_needs_the_whole_batch():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.head = nn.Parameter(torch.randn(12, 12) / 4), nn.Linear(16, 3)

        def forward(self, x):
            return self.head(torch.tanh(self.mix @ x))

    torch.manual_seed(0)
    network = NetworkFunction(Fixed().double(), cross_entropy)
    check = RouteCheck(network)
    check.admit("reverse", 1, network.point(), data(D))
    assert check.found["reverse", 1].endswith("(float64, 12 examples)")


def test_a_check_is_made_once_and_costs_few_gradients(monkeypatch):
    """Later calls cost nothing; a snapshot and its landscape know what either has found."""
    calls = []
    original = comparisons.compare_with_differences

    def counted(*arguments):
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(comparisons, "compare_with_differences", counted)
    torch.manual_seed(0)
    network = NetworkFunction(NETWORKS["relu"]().double(), cross_entropy)
    derivatives, x = NetworkDerivatives(network), network.point()
    twin = derivatives.on(network.snapshot())
    for given in (derivatives, twin, derivatives):
        given.contracted_gradient(x, [(1.0, (x,))], data(D))
    assert len(calls) == 1
    assert twin.how_checked(1) == derivatives.how_checked(1)
    off = NetworkDerivatives(network, check=False)
    off.contracted_gradient(x, [(1.0, (x,))], data(D))
    assert len(calls) == 1
    assert off.how_checked(1) == "not checked: switched off"


def test_modules_are_as_they_were(monkeypatch):
    torch.manual_seed(0)
    model = NETWORKS["batch norm"]()
    model.train()(data(torch.float32)[0])
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    types = [(p.dtype, p.requires_grad) for p in model.parameters()]
    products(NetworkFunction(model, cross_entropy, mode="train"), data(torch.float32))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [(p.dtype, p.requires_grad) for p in model.parameters()] == types
    assert (model[1].training, model[2].training) == (False, True)
    assert all(p.grad is None for p in model.parameters())


class OfFixedSize(nn.Module):
    """Takes so many examples and no others."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def forward(self, x):
        if len(x) != self.rows:
            raise ValueError(f"{self.rows} rows are needed")
        return x


def network_with(function, *layers):
    torch.manual_seed(0)
    return NetworkFunction(
        nn.Sequential(nn.Linear(16, 5), *layers, Layer(function), nn.Linear(5, 3)).double(), cross_entropy
    )


def test_a_gradient_of_no_function_is_refused_on_a_network_of_fixed_size():
    """Eight examples cannot be looked at, so all twelve are; it was passed over once."""
    network = network_with(lambda x: x * torch.sigmoid(x).detach(), OfFixedSize(12))
    with pytest.raises(NotDifferentiableError, match="not that of any function"):
        NetworkDerivatives(network).contracted_gradient(network.point(), [(1.0, (network.point(),))], data(D))


def test_what_is_wrong_is_found_once(monkeypatch):
    """Each Hessian of one landscape is an operator of its own; what one has found, the next knows."""
    calls, original = [], comparisons.compare_with_differences

    def counted(*arguments):
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(comparisons, "compare_with_differences", counted)
    network = network_with(Wrong.apply)
    derivatives, x = NetworkDerivatives(network), network.point()
    first = Hessian(network, [data(D)]).sharing(derivatives) @ x
    seen = len(calls)
    assert torch.equal(Hessian(network, [data(D)]).sharing(derivatives) @ x, first)
    assert len(calls) == seen
    wrong = Hessian(network, [data(D)], check=False).sharing(derivatives) @ x
    assert (wrong - first).norm() > 1e-2 * first.norm()  # what was asked for; and the others know nothing of it
    assert torch.equal(Hessian(network, [data(D)]).sharing(derivatives) @ x, first)


def test_one_rough_difference_is_not_remembered(monkeypatch):
    """A point at a kink is no reason to refuse the next one."""
    network = network_with(Wrong.apply)
    derivatives, x = NetworkDerivatives(network), network.point()
    take, rough = derivatives._difference.take, [True]

    def once(*arguments):
        if rough.pop() if rough else False:
            raise WrongDerivativeError("differences disagree")
        return take(*arguments)

    monkeypatch.setattr(derivatives._difference, "take", once)
    with pytest.raises(NotDifferentiableError, match="differences disagree"):
        derivatives.contracted_gradient(x, [(1.0, (x,))], data(D))
    assert derivatives.contracted_gradient(x, [(1.0, (x,))], data(D)).any()
    assert "disagree" not in derivatives.used[1]


@pytest.mark.parametrize("route", ["taylor", "difference", "reverse", "func"])
def test_every_route_has_the_gradient(route):
    network = network_with(torch.tanh)
    x = network.point()
    found = NetworkDerivatives(network, route).contracted_gradient(x, [(1.0, ())], data(D))
    truth = NetworkDerivatives(network).contracted_gradient(x, [(1.0, ())], data(D))
    torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-14)
    points, u = torch.stack([x, 0.9 * x]), torch.stack([x, x])
    rows = NetworkDerivatives(network, route).contracted_gradients(points, [(1.0, (u,))], [data(D)] * 2)
    singles = [NetworkDerivatives(network).contracted_gradient(p, [(1.0, (x,))], data(D)) for p in points]
    torch.testing.assert_close(rows, torch.stack(singles), rtol=1e-7, atol=1e-9)
