"""Small networks whose dense derivatives are cheap, as landscapes."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import NetworkLandscape


def perceptron(minibatches: int = 4, *, points_per_pass: int = 64, seed: int = 0) -> NetworkLandscape:
    """About 200 parameters, tanh, three classes; float64."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    inputs = torch.randn(8 * minibatches, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 3, (8 * minibatches,), generator=generator)
    return NetworkLandscape.from_tensors(
        model, cross_entropy, inputs, targets, batch_size=8, points_per_pass=points_per_pass
    )
