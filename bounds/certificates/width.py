"""How wide a trained prior is: chosen on examples that are left out of the bound, without their labels."""

import math

import torch
from torch import Tensor

from ..bounded_loss import BoundedCrossEntropy
from ..posteriors.isotropic_posterior import IsotropicPosterior
from .predictor import Predictor

__all__ = ["choose_width", "guess_risk", "starting_width"]

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
def starting_width(predictor: Predictor, inputs: Tensor, seed: int) -> float:
    """Where the training of a free width begins: the scores of random weights have about standard deviation 1.

    Args:
        predictor: with the prior's mean.
        inputs: of its random part; the width is one of a grid that is paid for, so any may be looked at.
        seed: of the draws.
    """
    part, widest = inputs[:256], 2.0**10
    for half in range(60):
        width = widest * math.exp2(-half / 2)
        generator = torch.Generator(inputs.device).manual_seed(seed)
        scores = predictor.network(IsotropicPosterior(predictor.mean, width)).logits(part, 8, generator)
        if float(scores.std(0).square().mean()) <= 1:
            break
    return width


@torch.no_grad()
def guess_risk(predictor: Predictor, inputs: Tensor, targets: Tensor, loss: BoundedCrossEntropy | None) -> float:
    """A guess of the network's risk: the mean of its posterior under a Beta(1, 39) prior (ours: mean 0.025).

    Only the constant of an inequality is tuned to it, which holds where the guess is wrong.

    Args:
        predictor: with the network at its mean.
        inputs: of its random part, not among those of the bound.
        targets: classes.
        loss: None is the 0-1 loss.
    """
    scores = predictor.centre(inputs)
    losses = scores.argmax(1) != targets if loss is None else loss.per_example(scores, targets)
    return (float(losses.sum()) + 1) / (len(targets) + 40)
