"""Networks of about 200 parameters or fewer, whose Hessians can be dense, and points of many paths on them."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import NetworkLandscape

D = torch.float64


def data(kind, count=24, dtype=D, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (8,) if kind == "mlp" else (1, 6, 6)
    inputs = torch.randn(count, *shape, generator=generator, dtype=D).to(dtype)
    return inputs, torch.randint(0, 4, (count,), generator=generator)


def model(kind, dtype=D):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "mlp":
            made = nn.Sequential(nn.Linear(8, 15), nn.Tanh(), nn.Linear(15, 4))
        elif kind == "cnn":
            made = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 4))
        else:
            made = nn.Sequential(
                nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 4)
            )
    return made.to(dtype)


def landscape(kind="mlp", dtype=D, *, batch_size=6, loss=cross_entropy, **options):
    if kind == "batch norm":
        options.setdefault("mode", "train")
    return NetworkLandscape.from_tensors(
        model(kind, dtype), loss, *data(kind, dtype=dtype), batch_size=batch_size, **options
    )


def points(f, count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, f.dim, generator=generator, dtype=D)
    return f.point() + 0.3 * noise.to(f.dtype)


def plain_loss(f, x, batch):
    """By torch alone: the loss of one batch at one point, differentiable."""
    parameters, start = {}, 0
    for name, p in f.network.model.named_parameters():
        parameters[name] = x[start : start + p.numel()].view(p.shape)
        start += p.numel()
    module = f.network.model
    module.train(f.network.mode == "train")
    try:
        outputs = torch.func.functional_call(module, parameters, batch[0])
    finally:
        module.train(True)
    return cross_entropy(outputs, batch[1]), outputs


def dense_hessian(f, x, batches):
    """In float64, by torch alone."""
    return torch.stack(
        [torch.autograd.functional.hessian(lambda p, b=b: plain_loss(f, p, b)[0], x.double()) for b in batches]
    )


def perceptron(minibatches=4, *, points_per_pass=64, seed=0):
    """Two hidden layers of tanh on three classes; float64."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)).to(D)
    inputs = torch.randn(8 * minibatches, 6, generator=generator, dtype=D)
    targets = torch.randint(0, 3, (8 * minibatches,), generator=generator)
    return NetworkLandscape.from_tensors(
        made, cross_entropy, inputs, targets, batch_size=8, points_per_pass=points_per_pass
    )
