"""A network whose shards are uneven, and one of them empty."""

import torch
from cases import model, sam
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard


class Scaled(nn.Module):
    """One number: the second worker's shard of it is empty."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.scale


def net():
    """Seven rows over two workers are four and three."""
    return model(lambda: [nn.Linear(6, 7), nn.Tanh(), Scaled(), nn.Linear(7, 4)])


def sharded(network=None, **options):
    network = net() if network is None else network
    options.setdefault("mesh", init_device_mesh("cpu", (2,)))  # not an accelerator's, where there is one
    for layer in network:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, **options)
    return fully_shard(network, **options)


MAKERS = {"momentum": sam(momentum=0.9), "adamw": sam(torch.optim.AdamW)}
