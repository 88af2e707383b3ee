"""A posterior is trained on the kept examples: its divergence is what that costs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..posteriors.diagonal_posterior import DiagonalPosterior
from ..posteriors.isotropic_posterior import IsotropicPosterior
from ..posteriors.layerwise_posterior import LayerwisePosterior
from ..posteriors.posterior import GaussianPosterior
from .predictor import Predictor

__all__ = ["BATCH_SIZE", "PosteriorTraining", "TrainedPosterior"]

BATCH_SIZE = 250
"""Ours: examples of a step."""


@dataclass(frozen=True)
class TrainedPosterior:
    """What the training ended with.

    Attributes:
        posterior: of its shape.
        width: standard deviation of the prior, which the training moved if it was free.
    """

    posterior: GaussianPosterior
    width: float


@dataclass(frozen=True)
class PosteriorTraining:
    """Minimise ``(sqrt(r + c) + sqrt(c))^2``, ``c = (KL + ln(2 sqrt(n)/delta)) / 2n``, over mean and deviations.

    ``r = scale ln(p_min + (1 - p_min) p_y) / ln(p_min + (1 - p_min)/classes)``, a bounded cross-entropy of the
    randomised network with fresh weights for every example by local reparameterisation, ``scale`` being its value at
    the uniform prediction: 1 - 1/classes where the loss is 0-1, so that errors and nats trade at about the rate of
    the bound. (Scaled to [0, 1], a few hundred nats would never seem worth while on a thousand examples.) So the
    objective is the quadratic PAC-Bayes bound (Perez-Ortiz et al. 2021) of a loss that has a gradient. Nothing here is
    proved or has to be: whatever posterior comes out is certified afterwards.

    Attributes:
        kind: isotropic, layerwise or diagonal.
        width: standard deviation of the prior, where the training begins.
        free_width: whether it moves, for a prior that is then chosen from a grid.
        delta: of the bound.
        p_min: of the cross-entropy.
        scale: of the cross-entropy.
        epochs: passes over the examples.
        batch_size: examples of a step.
        rate: of Adam's steps of the deviations' logarithms; the means move by
            ``rate`` widths (ours).
    """

    kind: str
    width: float
    free_width: bool
    delta: float
    p_min: float
    scale: float
    epochs: int
    batch_size: int = BATCH_SIZE
    rate: float = 0.02

    def run(
        self,
        predictor: Predictor,
        inputs: Tensor,
        targets: Tensor,
        generator: torch.Generator,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> TrainedPosterior:
        """Train from the prior on.

        Args:
            predictor: its mean is the prior's.
            inputs: of the random part, ``(n, ...)``.
            targets: classes.
            generator: of minibatches and draws, on the device of the inputs.
            progress: called with steps done and to do.
        """
        inputs = inputs.float()  # no copy if it is so already; whatever comes out is certified in double precision
        n, start = len(targets), predictor.mean.float()
        blocks = {"isotropic": [len(start)], "layerwise": predictor.sizes, "diagonal": [1] * len(start)}[self.kind]
        repeats = torch.tensor(blocks, device=start.device)
        shift = torch.zeros_like(start, requires_grad=True)  # of the mean, in widths of the prior
        spread = torch.zeros(len(blocks), dtype=start.dtype, device=start.device, requires_grad=True)  # logarithms
        wide = torch.zeros((), dtype=start.dtype, device=start.device, requires_grad=self.free_width)
        groups = [{"params": [shift, spread]}, *([{"params": [wide]}] if self.free_width else [])]
        optimizer = torch.optim.Adam(groups, lr=self.rate)
        size = min(self.batch_size, n)
        steps, done = self.epochs * (n // size), 0
        logarithm = math.log(2 * math.sqrt(n) / self.delta)
        for _ in range(self.epochs):
            order = torch.randperm(n, generator=generator, device=inputs.device)
            for rows in order[: n // size * size].split(size):
                for group in optimizer.param_groups:
                    group["lr"] = self.rate * 0.5 * (1 + math.cos(math.pi * done / steps))
                width = self.width * wide.exp()
                sigmas = width * spread.exp().repeat_interleave(repeats, output_size=len(start))
                scores = predictor.scores(start + width * shift, sigmas, inputs[rows], generator)
                risk = self.surrogate(scores, targets[rows])
                excess = ((2 * spread).exp() - 1 - 2 * spread) @ repeats.to(start.dtype)
                kl = (excess + shift.square().sum()) / 2
                cost = (kl + logarithm) / (2 * n)
                objective = ((risk + cost).sqrt() + cost.sqrt()).square()
                optimizer.zero_grad()
                objective.backward()
                optimizer.step()
                done += 1
                progress(done, steps)
        with torch.no_grad():
            end = self.width * float(wide.exp())
            mean = predictor.mean + end * shift.double()
            deviations = end * spread.double().exp()
        return TrainedPosterior(self._posterior(mean, deviations, predictor.sizes), end)

    def surrogate(self, scores: Tensor, targets: Tensor) -> Tensor:
        """``r`` of a minibatch, a scalar."""
        chosen = scores.softmax(1).gather(1, targets[:, None])
        uniform = math.log(self.p_min + (1 - self.p_min) / scores.shape[1])
        return self.scale * (self.p_min + (1 - self.p_min) * chosen).log().mean() / uniform

    def _posterior(self, mean: Tensor, deviations: Tensor, sizes: list[int]) -> GaussianPosterior:
        if self.kind == "isotropic":
            return IsotropicPosterior(mean, float(deviations))
        if self.kind == "layerwise":
            return LayerwisePosterior(mean, deviations, sizes)
        return DiagonalPosterior(mean, deviations)
