"""A small problem, and second and third derivatives of its network by differences of gradients written here."""

import copy

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import Hessian, NetworkFunction, NetworkLandscape, eigenvalue_gradient, unflatten

D = torch.float64
GENERATOR = torch.Generator().manual_seed(0)
X, Y = torch.randn(10, 4, generator=GENERATOR, dtype=D), torch.arange(10) % 3
BATCH = X, Y


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def network_of(*layers, loss=cross_entropy, seed=1, **options):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 4), *layers, nn.Linear(4, 3)).double()
    return NetworkFunction(model, loss, **options)


def differenced_hessian(network, batch=BATCH):
    """Central differences of the module's own gradients."""
    model = copy.deepcopy(network.model)
    for module in model.modules():
        module.training = network.mode == "train" and isinstance(module, nn.BatchNorm1d)
    parameters = [p for p in model.parameters() if p.requires_grad]
    x = network.point()

    def gradient(p):
        with torch.no_grad():
            for parameter, value in zip(parameters, unflatten(p, network.shapes), strict=True):
                parameter.copy_(value)
        loss = network.loss_function(model(batch[0]), batch[1])
        model.zero_grad()
        loss.backward()  # reentrant checkpoints refuse torch.autograd.grad
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        return torch.cat([part.flatten() for part in parts])

    steps = 1e-5 * torch.eye(len(x), dtype=D)
    return torch.stack([(gradient(x + s) - gradient(x - s)) / 2e-5 for s in steps])


def relative(found, truth):
    return float((found - truth).norm() / truth.norm())


def third_error(model, loss=cross_entropy, mode="eval", **options):
    """``T[u, u]`` against differences of products, and how it was computed."""
    f = NetworkLandscape.from_tensors(model, loss, *BATCH, mode=mode, **options)
    x = f.point()
    u = torch.randn(f.dim, generator=torch.Generator().manual_seed(3), dtype=D)
    u /= u.norm()

    def slope(h):
        above, below = (Hessian(f.network, [BATCH], x + s * u) @ u for s in (h, -h))
        return (above - below) / (2 * h)

    truth = (4 * slope(1e-4) - slope(2e-4)) / 3
    return relative(eigenvalue_gradient(f, x, u), truth), f


class SavesWhatItComputed(torch.autograd.Function):
    """``silu`` whose backward pass torch differentiates as if ``s`` did not depend on ``x``."""

    @staticmethod
    def forward(ctx, x):
        s = torch.sigmoid(x)
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx, grad):
        x, s = ctx.saved_tensors
        return grad * (s + x * s * (1 - s))


def scripted(layer):
    return torch.jit.script(network_of(layer, nn.Tanh()).model)
