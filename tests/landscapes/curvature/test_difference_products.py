"""Products by differences of gradients, where kernels cannot be differentiated twice."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy

from eigensam.landscapes import GaussNewton, Hessian, NetworkFunction
from eigensam.landscapes.networks.network_derivatives import NotDifferentiableError

from .dense_truths import BATCHES, EXACT, Apply, D, network_of, relative, squares


class Once(torch.autograd.Function):
    """``tanh`` with a backward pass as fused kernels have it."""

    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * (1 - y * y)


class Kernel(Once):
    """The same, outside of torch's graph and unmarked."""

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return torch.from_numpy(grad.detach().numpy() * (1 - y.detach().numpy() ** 2))


class FusedLoss(torch.autograd.Function):
    """Mean of softplus(-z): the kernel is the loss itself, so that no gradient that flows into it needs a gradient."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return functional.softplus(-z).mean()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (z,) = ctx.saved_tensors
        return -grad * torch.sigmoid(-z) / z.numel()


def pair(kind, dtype):
    """A network with a kernel of the given kind, and its smooth twin, at the same point."""

    def build(function, loss=cross_entropy):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 5), Apply(function), nn.Linear(5, 3)).to(dtype)
        return NetworkFunction(model, loss)

    if kind == "fused loss":
        loss = functional.softplus
        return build(torch.tanh, lambda z, y: FusedLoss.apply(z)), build(torch.tanh, lambda z, y: loss(-z).mean())
    if kind == "not implemented":  # a multi-class hinge of torch's, and the same in torch's own arithmetic

        def hinge(z, y):
            margins = functional.softplus(20 * (1 - z.gather(1, y[:, None]) + z)) / 20
            return margins.mean()

        def bagged(z):
            count = torch.arange(z.numel(), device=z.device).view(z.shape)
            return functional.embedding_bag(count, z.reshape(-1, 1), mode="sum").expand_as(z) + z

        return build(lambda z: bagged(z.tanh()), hinge), build(
            lambda z: z.tanh().sum(1, keepdim=True) + z.tanh(), hinge
        )
    function = {"once": Once, "kernel": Kernel, "skip": Once}[kind].apply
    if kind == "skip":
        return build(lambda z: z + function(z)), build(lambda z: z + z.tanh())
    return build(function), build(torch.tanh)


@pytest.mark.parametrize("dtype", [torch.float32, D])
@pytest.mark.parametrize("kind", ["once", "kernel", "skip", "fused loss", "not implemented"])
def test_kernels_that_cannot_be_differentiated_twice(kind, dtype):
    rough, smooth = pair(kind, dtype)
    batches = [(inputs.to(dtype), targets) for inputs, targets in BATCHES]
    rows = torch.randn(3, rough.dim, generator=torch.Generator().manual_seed(0), dtype=D).to(dtype)
    rows[2] = torch.eye(rough.dim)[0]
    truth = Hessian(smooth, batches, method="reverse") @ rows
    limit = 1e-5 if dtype == torch.float32 else 1e-6
    for graph_bytes in (0, 2**30):
        for at_once in (True, False):
            operator = Hessian(rough, batches, graph_bytes=graph_bytes)
            before = operator.accuracy
            found = operator @ rows if at_once else torch.stack([operator @ row for row in rows])
            assert relative(found, truth) < limit
            assert operator.used.startswith("difference (refused: reverse: ")
            assert "twice" in operator.used or "is not implemented" in operator.used
            assert operator.checked.startswith("differences at two step sizes agree to ")
            assert before == 100 * torch.finfo(dtype).eps
            assert before <= operator.accuracy < 1e-4  # in float64 inside, whatever the network's type
            assert torch.equal(operator @ rows[0], found[0])
    for method in EXACT:
        with pytest.raises(NotDifferentiableError, match=rf"(route|method) '{method}' .*use (route|method) 'auto'"):
            Hessian(rough, batches, method=method) @ truth[0]
    if kind != "fused loss":
        with pytest.raises(NotDifferentiableError, match="GaussNewton differentiates a backward pass, which torch"):
            GaussNewton(rough, batches) @ truth[0]


@pytest.mark.parametrize("scale", [1e-2, 1.0, 10.0])
@pytest.mark.parametrize("name", ["linear, tanh, squares", "batch norm", "layer, group norm"])
def test_steps_of_differences_suit_every_scale(name, scale):
    """Parameters a hundredth or ten times of usual; vectors of any length; directions sharp and flat."""
    network = network_of(name, "train")
    network.load_point(scale * network.point())
    sharp = torch.linalg.eigh(Hessian(network, BATCHES, method="reverse").dense())[1][:, -1]
    for dtype, limit in ((torch.float32, 1e-5), (D, 1e-8)):
        exact = Hessian(network, BATCHES, network.point().to(dtype).double(), method="reverse")
        rough = NetworkFunction(copy.deepcopy(network.model).to(dtype), network.loss_function, mode="train")
        operator = Hessian(rough, [(i.to(dtype), t) for i, t in BATCHES], method="difference")
        top = sharp.to(dtype)
        random = torch.randn(network.dim, generator=torch.Generator().manual_seed(0), dtype=D).to(dtype)
        for v in (top, random / random.norm()):
            truth = exact @ v.double()
            for length in (1e-6, 1e6):
                found = operator @ (length * v) / length
                assert operator.used == "difference"
                assert relative(found.double(), truth) < limit
        assert not (operator @ torch.zeros(network.dim)).any()


def test_differences_where_there_is_no_curvature_or_no_scale():
    torch.manual_seed(0)
    linear = NetworkFunction(nn.Linear(8, 3).double(), lambda z, y: z.mean())
    assert (Hessian(linear, BATCHES, method="difference") @ torch.ones(27, dtype=D)).norm() < 1e-9
    squares_of = NetworkFunction(nn.Linear(8, 3).double(), squares)
    at_zero = torch.zeros(27, dtype=D)  # nothing tells a scale here
    truth = Hessian(squares_of, BATCHES, at_zero).dense()
    assert relative(Hessian(squares_of, BATCHES, at_zero, method="difference").dense(), truth) < 1e-8
