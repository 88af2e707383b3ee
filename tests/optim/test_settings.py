"""Settings are checked when they are made."""

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.optim import OPTIMIZERS, SAM, EigenSAM, TrainSettings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "iris"}, "unknown data 'iris'; choose one of: digits"),
        ({"model": "gpt"}, "unknown model 'gpt'"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam'; choose one of: sgd, sam, eigen-sam"),
        ({"solver": "qr"}, "unknown solver 'qr'"),
        ({"epochs": 0}, "epochs = 0 must be at least 1"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"lr": 0.0}, "lr = 0.0 must be positive"),
        ({"lr": float("nan")}, "lr = nan is out of range"),
        ({"epochs": 1.5}, "epochs = 1.5 is not of type int"),
        ({"normalize": "no"}, "normalize = 'no' is not of type bool"),
        ({"epochs": True}, "epochs = True is not of type int"),
        ({"epochs": 10**400}, "is out of range"),
        ({"lr": 1e308}, "is out of range"),
        ({"rho": 0.0}, "rho = 0.0 must be positive; plain SGD is optimizer 'sgd'"),
        ({"alpha": -1.0}, "alpha = -1.0 must be at least 0"),
        ({"momentum": 1.0}, r"momentum = 1.0 must lie in \[0, 1\)"),
        ({"weight_decay": float("inf")}, "weight_decay = inf"),
        ({"refresh_every": 0}, "refresh_every = 0"),
        ({"power_iterations": 0}, "power_iterations = 0"),
        ({"spectrum_every": -1}, "spectrum_every = -1"),
        ({"seed": -1}, "seed = -1 must lie in"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        TrainSettings(**arguments)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimizer_gets_every_hyper_parameter(name):
    settings = TrainSettings(
        optimizer=name, lr=0.3, momentum=0.5, weight_decay=0.02, rho=0.7, alpha=0.4, refresh_every=9,
        power_iterations=3, solver="lanczos", normalize=True, seed=11,
    )  # fmt: skip
    optimizer = settings.build_optimizer(nn.Linear(2, 2))
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.3, 0.5, 0.02)
    assert isinstance(optimizer, {"sgd": torch.optim.SGD, "sam": SAM, "eigen-sam": EigenSAM}[name])
    if name != "sgd":
        assert group["rho"] == 0.7
    if isinstance(optimizer, EigenSAM):
        assert (optimizer.alpha, optimizer.refresh_every, optimizer.iterations) == (0.4, 9, 3)
        assert (optimizer.solver, optimizer.normalize, optimizer.seed) == ("lanczos", True, 11)
