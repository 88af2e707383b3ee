"""How wide a trained prior is: chosen on examples that are left out of the bound, without their labels."""

import math

import torch
from torch import Tensor

from ..posteriors.isotropic_posterior import IsotropicPosterior
from .predictor import Predictor

__all__ = ["choose_width", "guess_risk"]

_MOST = 0.002  # ours: of the predictions may change by the noise; far below any error rate that is worth a certificate
_DRAWS = 64


@torch.no_grad()
def choose_width(predictor: Predictor, inputs: Tensor, seed: int) -> float:
    """The largest standard deviation of a prior around the network that leaves its predictions as they are.

    A wider prior makes a given move of the posterior cheaper; one that changes predictions pays with errors. Half of
    powers of two of the network's own size, from ``2^-12`` to 1, are tried from above, and the first is taken at
    which at most 0.2 % of random predictions differ from the network's. No label is looked at.

    Args:
        predictor: with the network at its mean.
        inputs: of its random part, not among those of the bound.
        seed: of the draws.
    """
    classes = predictor.centre(inputs).argmax(1)
    size = float(predictor.mean.square().mean().sqrt()) or 1.0
    draws = max(1, min(_DRAWS, 200_000 // len(inputs)))
    for half in range(25):
        width = size * math.exp2(-half / 2)
        generator = torch.Generator(inputs.device).manual_seed(seed)
        network = predictor.network(IsotropicPosterior(predictor.mean, width))
        changed = sum(
            int((network.logits(part, draws, generator).argmax(2) != there).sum())
            for part, there in zip(inputs.split(256), classes.split(256), strict=True)
        )
        if changed <= _MOST * draws * len(inputs):
            break
    return width


@torch.no_grad()
def guess_risk(predictor: Predictor, inputs: Tensor, targets: Tensor) -> float:
    """A guess of the network's error rate: the mean of its posterior under a Beta(1, 39) prior (ours: mean 0.025).

    Only the constant of an inequality is tuned to it, which holds where the guess is wrong.
    """
    wrong = int((predictor.centre(inputs).argmax(1) != targets).sum())
    return (wrong + 1) / (len(targets) + 40)
