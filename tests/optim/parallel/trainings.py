"""Trainings that one process, two, and two that were killed make; and where they are stopped."""

import math
import os
import signal

import torch
from torch import nn

from eigensam.landscapes import MODELS, DataSet
from eigensam.optim import EigenSAMSettings, MSAMSettings, TrainSettings
from eigensam.optim.training.training import Training

X = torch.randn(52, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
Y = (X[:, :4] + 0.3 * X[:, 2:]).argmax(1)
OWN = DataSet("mine", X[:40], Y[:40], X[40:], Y[40:], classes=4, augmentable=False)

CASES = {
    "sgd": TrainSettings("sgd", label_smoothing=0.1, clip_norm=1.0),
    "sam": TrainSettings("sam", validation_fraction=0.2, patience=3, base="adamw", lr=0.01, record_every=3),
    "eigen-sam": TrainSettings(EigenSAMSettings(refresh_every=3, alpha=0.5), spectrum_every=2),
    "m-sam": TrainSettings(MSAMSettings(micro_batches=2)),
    "random-sam": TrainSettings("random-sam"),
}


def own_settings(name, **changes):
    """Three epochs of float64 with nothing that is each process's own."""
    values = {**CASES[name].to_dict(), "data": "own", "model": "own", "epochs": 3, "batch_size": 8, **changes}
    return TrainSettings.from_dict(values)


def own_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()


def dropping(shape, classes):
    """A network whose weights depend on the random numbers of every process."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Flatten(), nn.Linear(channels * height * width, 16), nn.Dropout(0.5), nn.Linear(16, classes)
    )


COMMAND = ["--model", "dropping", "--optimizer", "eigen-sam", "--refresh-every", "3", "--subset", "200"]
COMMAND += ["--epochs", "3", "--batch-size", "40", "--snapshot-every", "1"]


def dropping_settings():
    """What the command says, five steps an epoch; makes the network known to this process, and to no other test."""
    MODELS.register("dropping")(dropping)
    method = EigenSAMSettings(refresh_every=3)
    return TrainSettings(method, model="dropping", subset=200, epochs=3, batch_size=40, snapshot_every=1)


def at_step(step, action):
    """Call ``action`` in place of what this process would do in a step of a training."""
    taken = []
    original = Training._take

    def take(self, *batch):
        taken.append(batch)
        return action(self, batch) if len(taken) == step else original(self, *batch)

    Training._take = take
    return lambda: setattr(Training, "_take", original)


def kill(training, batch):
    os.kill(os.getpid(), signal.SIGKILL)


def stop(training, batch):
    raise KeyboardInterrupt


def diverge(training, batch):
    """Wrong on purpose: a step of its own."""
    with torch.no_grad():
        next(training.model.parameters()).add_(1e-3 * training.ranks.rank)
    return 1.0


def lose(training, batch):
    return math.nan if training.ranks.rank else 1.0
