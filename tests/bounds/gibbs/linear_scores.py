"""Two linear scores with Gaussian weights: their Gibbs risk is known in closed form."""

import math

import torch
from scipy.stats import norm
from torch import nn

from eigensam.bounds import FrozenBackbone, IsotropicPosterior, MeanFieldPerceptron, WeightDraws

SIGMA = 0.5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def sample(n, seed=0):
    x = torch.randn(n, 2, generator=seeded(seed), dtype=torch.float64)
    return x, (x[:, 0] + 0.3 * x[:, 1] < 0).long()


MEAN = torch.tensor([1.0, 0.2, -1.0, 0.1])


def exact(x, y):
    """``Phi(-margin / deviation)`` of two linear scores, averaged: each score has variance ``sigma^2 |x|^2``."""
    difference = x @ (MEAN[:2] - MEAN[2:]).double()
    margin = torch.where(y == 0, difference, -difference)
    return float(norm.cdf((-margin / (SIGMA * math.sqrt(2) * x.norm(dim=1))).numpy()).mean())


def networks(x):
    q = IsotropicPosterior(MEAN, SIGMA)
    head = nn.Linear(2, 2, bias=False).double()
    return {
        "frozen": FrozenBackbone(q, 2, 2, bias=False),
        "mean field": MeanFieldPerceptron(head, q),
        "draws": WeightDraws(head, q, x[:8]),
    }
