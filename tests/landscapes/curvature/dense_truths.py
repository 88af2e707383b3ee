"""Small networks of every kind, and their curvature matrices without the operators.

Truths: torch.func.hessian, ``J^T H J``, per-example gradients, differences of gradients. They share no code with the
operators but call the module itself, its normalisations told what to do.
"""

import copy

import torch
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, mse_loss

from eigensam.landscapes import NetworkFunction, SmoothNorms, unflatten

D = torch.float64
EXACT = ["graph", "taylor", "reverse"]


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(2, 2, 3, 0.0, activation="gelu", batch_first=True)
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.block(x.view(len(x), 4, 2)).mean(1))


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def squares(z, y):
    return mse_loss(z, functional.one_hot(y, 3).to(z))


def image(*layers):
    return nn.Sequential(nn.Unflatten(1, (2, 2, 2)), *layers)


NETWORKS = {
    "linear, tanh, squares": lambda: (nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)), squares),
    "relu": lambda: (nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3)), cross_entropy),
    "gelu, silu, softplus": lambda: (
        nn.Sequential(nn.Linear(8, 3), nn.GELU(), nn.Linear(3, 3), nn.SiLU(), nn.Linear(3, 3), nn.Softplus()),
        cross_entropy,
    ),
    "softmax, dropout": lambda: (
        nn.Sequential(nn.Linear(8, 4), nn.Softmax(1), nn.Dropout(0.5), nn.Linear(4, 3)),
        cross_entropy,
    ),
    "conv, pooling": lambda: (
        image(nn.Conv2d(2, 3, 2, padding=1), nn.Tanh(), nn.MaxPool2d(2, 1), nn.AvgPool2d(2), nn.Flatten(),
              nn.Linear(3, 3)),
        cross_entropy,
    ),
    "batch norm": lambda: (
        image(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3), nn.BatchNorm1d(3)),
        cross_entropy,
    ),
    "layer, group norm": lambda: (
        image(nn.Conv2d(2, 2, 1), nn.GroupNorm(1, 2), nn.GELU(), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 3)),
        squares,
    ),
    "transformer": lambda: (Transformer(), cross_entropy),
    "weight norm": lambda: (
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)), nn.Tanh(), nn.Linear(4, 3)),
        cross_entropy,
    ),
    "residual": lambda: (
        nn.Sequential(nn.Linear(8, 3), Residual(nn.Sequential(nn.Linear(3, 3), nn.Sigmoid())), nn.Linear(3, 3)),
        squares,
    ),
}  # fmt: skip
INPUTS = torch.randn(13, 8, generator=torch.Generator().manual_seed(0), dtype=D)
TARGETS = torch.arange(13) % 3
BATCHES = [(INPUTS[:7], TARGETS[:7]), (INPUTS[7:11], TARGETS[7:11]), (INPUTS[11:], TARGETS[11:])]


def network_of(name, mode="eval", **arguments):
    torch.manual_seed(0)
    model, loss = NETWORKS[name]()
    model = model.double()
    model.train()(INPUTS)  # running statistics that differ from the initial ones
    return NetworkFunction(model, loss, mode=mode, **arguments)


def mlp():
    return network_of("linear, tanh, squares")


def twin_of(network):
    """The module as a function of the flat vector, without NetworkFunction; norms in train mode hold no statistics."""
    model = copy.deepcopy(network.model).eval()
    for module in model.modules():
        if network.mode == "train" and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    names, shapes = network.names, network.shapes
    return lambda x, inputs: functional_call(model, dict(zip(names, unflatten(x, shapes), strict=True)), (inputs,))


def mean_over(matrices, batches):
    return sum(len(b[0]) * m for m, b in zip(matrices, batches, strict=True)) / sum(len(b[0]) for b in batches)


def dense_hessian(network, batches):
    outputs, x = twin_of(network), network.point()
    with SmoothNorms(3), sdpa_kernel(SDPBackend.MATH):  # torch.func's own second derivatives of norms are wrong
        return mean_over(
            [torch.func.hessian(lambda p, b=b: network.loss_function(outputs(p, b[0]), b[1]))(x) for b in batches],
            batches,
        )


def differenced_hessian(network, batches):
    """Trusts no formula beyond the gradient: central differences, extrapolated."""
    outputs, x = twin_of(network), network.point()

    def gradient(p, batch):
        p = p.clone().requires_grad_()
        return torch.autograd.grad(network.loss_function(outputs(p, batch[0]), batch[1]), p)[0]

    def rows(batch, h):
        steps = h * torch.eye(len(x), dtype=D)
        return torch.stack([(gradient(x + s, batch) - gradient(x - s, batch)) / (2 * h) for s in steps])

    return mean_over([(4 * rows(b, 1e-4) - rows(b, 2e-4)) / 3 for b in batches], batches)


def dense_gauss_newton(network, batches):
    outputs, x = twin_of(network), network.point()
    parts = []
    for inputs, targets in batches:
        with SmoothNorms(2), sdpa_kernel(SDPBackend.MATH):
            jacobian = jacrev(lambda p, i=inputs: outputs(p, i).flatten())(x)
            z = outputs(x, inputs).detach()
        inner = torch.func.hessian(lambda z, t=targets, s=z.shape: network.loss_function(z.view(s), t))(z.flatten())
        parts.append(jacobian.mT @ inner @ jacobian)
    return mean_over(parts, batches)


def dense_fisher(network, batches):
    """Per-example gradients by one backward pass each."""
    outputs, parts = twin_of(network), []
    for inputs, targets in batches:
        x = network.point().requires_grad_()
        z = outputs(x, inputs)
        losses = [network.loss_function(z[i : i + 1], targets[i : i + 1]) for i in range(len(z))]
        gradients = torch.stack([torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in losses])
        parts.append(gradients.mT @ gradients / len(gradients))
    return mean_over(parts, batches)


def relative(found, truth):
    return float((found.detach() - truth.detach()).norm() / truth.norm().detach())


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)
