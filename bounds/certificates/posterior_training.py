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

__all__ = ["SURROGATE_FLOOR", "PosteriorTraining", "TrainedPosterior"]

SURROGATE_FLOOR = (
    0.05  # ours: of the surrogate's probabilities; a smaller one would trade errors for nats at a worse rate
)


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

    ``r`` is a bounded cross-entropy of the randomised network, with fresh weights for every example by local
    reparameterisation; so the objective is the quadratic PAC-Bayes bound (Perez-Ortiz et al. 2021) of a loss that has
    a gradient. Nothing here is proved or has to be: whatever posterior comes out is certified afterwards.

    Attributes:
        kind: isotropic, layerwise or diagonal.
        width: standard deviation of the prior, where the training begins.
        free_width: whether it moves, for a prior that is then chosen from a grid.
        delta: of the bound.
        epochs: passes over the examples.
        batch_size: examples of a step (ours: 250).
        rate: of Adam's steps of the deviations' logarithms; the means move by ``rate * width`` (ours).
    """

    kind: str
    width: float
    free_width: bool
    delta: float
    epochs: int
    batch_size: int = 250
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
        inputs = inputs.float()  # whatever comes out is certified in double precision
        n, start = len(targets), predictor.mean.float()
        blocks = {"isotropic": [len(start)], "layerwise": predictor.sizes, "diagonal": [1] * len(start)}[self.kind]
        repeats = torch.tensor(blocks, device=start.device)
        shift = torch.zeros_like(start, requires_grad=True)  # of the mean, in widths
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
                scores = predictor.scores(start + self.width * shift, sigmas, inputs[rows], generator)
                chosen = scores.softmax(1).gather(1, targets[rows, None])
                risk = (SURROGATE_FLOOR + (1 - SURROGATE_FLOOR) * chosen).log().mean() / math.log(SURROGATE_FLOOR)
                excess = ((2 * spread).exp() - 1 - 2 * spread) @ repeats.to(start.dtype)
                kl = (excess + (shift * (-wide).exp()).square().sum()) / 2
                cost = (kl + logarithm) / (2 * n)
                objective = ((risk + cost).sqrt() + cost.sqrt()).square()
                optimizer.zero_grad()
                objective.backward()
                optimizer.step()
                done += 1
                progress(done, steps)
        with torch.no_grad():
            end = self.width * float(wide.exp())
            mean = predictor.mean + self.width * shift.double()
            deviations = end * spread.double().exp()
        return TrainedPosterior(self._posterior(mean, deviations, predictor.sizes), end)

    def _posterior(self, mean: Tensor, deviations: Tensor, sizes: list[int]) -> GaussianPosterior:
        if self.kind == "isotropic":
            return IsotropicPosterior(mean, float(deviations))
        if self.kind == "layerwise":
            return LayerwisePosterior(mean, deviations, sizes)
        return DiagonalPosterior(mean, deviations)
