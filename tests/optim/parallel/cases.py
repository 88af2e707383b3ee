"""What the workers' scripts share: cases that are run one after the other, and a small model with its data."""

import copy
import gc
import json
import os
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from eigensam.optim import SAM, EigenSAM

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def run_all():
    """Run every case on this worker and write what it returns, or how it failed."""
    dist.init_process_group("gloo", timeout=timedelta(seconds=40))
    rank, found = dist.get_rank(), {}
    gc.get_freeze_count = lambda: 0  # each optimizer looks for modules among the objects of its own case
    for name, function in CASES.items():
        gc.collect()
        gc.freeze()
        torch.manual_seed(1)
        try:
            found[name] = function()
        except Exception:
            found[name] = {"traceback": traceback.format_exc()}
    file = Path(sys.argv[1]) / f"{rank}.json"
    file.with_suffix(".part").write_text(json.dumps(found))
    file.with_suffix(".part").replace(file)
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)


X = torch.randn(12, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
Y = torch.arange(12) % 4


def own(tensor):
    """This worker's half."""
    return tensor[6 * dist.get_rank() : 6 * dist.get_rank() + 6]


def model(layers=lambda: [nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)]):
    torch.manual_seed(0)
    return nn.Sequential(*layers()).double()


def loss(network, x=X, y=Y):
    return lambda: cross_entropy(network(x), y)


def trained(network, make, closure, steps=7):
    """The network after some steps."""
    optimizer = make(network.parameters())
    for _ in range(steps):
        optimizer.step(closure)
    return optimizer


def whole(tensor):
    """All of a tensor that may be sharded."""
    tensor = tensor.detach()
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).clone()


def flat(network):
    return torch.cat([whole(p).reshape(-1) for p in network.parameters()])


def off(a, b):
    """Largest difference of two networks' parameters."""
    return float((flat(a) - flat(b)).abs().max())


def from_both(tensor):
    """The tensors of both workers."""
    found = [torch.empty_like(tensor) for _ in range(2)]
    dist.all_gather(found, tensor.contiguous())
    return found


def raised(function):
    """The error's name and message; empty where there was none."""
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def twin(network):
    return copy.deepcopy(network)


def sam(base=SGD, **options):
    return lambda p: SAM(p, base, rho=0.3, lr=0.1, **options)


def eigen(base=SGD, **options):
    settings = {"refresh_every": 3, "iterations": 4, "alpha": 0.5, **options}
    return lambda p: EigenSAM(p, base, rho=0.3, lr=0.1, **settings)


def half(network):
    return loss(network, own(X), own(Y))


def off_between(network):
    a, b = from_both(flat(network))
    return float((a - b).abs().max())
