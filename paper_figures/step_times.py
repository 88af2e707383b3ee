"""What a step of a training costs here: measured on random images, for an estimate of what a preset takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..landscapes.runs.build import build_model
from ..optim.sharpness_aware import SharpnessAwareOptimizer
from ..optim.training.made_optimizer import make_optimizer
from .planned_run import PlannedRun

__all__ = ["StepTime", "measure_step"]

_IMAGES = 4  # of a first, small step, which tells whether a whole one would take too long
_LONGEST = 3.0  # seconds; a longer step is extrapolated from a small one
_LOOK = 30  # Hessian products of one measurement of the top eigenvalue, at most, each about two gradients
_EXAMPLES = 2000  # of each product


@dataclass(frozen=True)
class StepTime:
    """Measured times, in seconds.

    Attributes:
        step: of the optimizer, on average over its refreshes.
        gradient: of one minibatch.
        scaled: whether they were extrapolated from a few images.
    """

    step: float
    gradient: float
    scaled: bool

    def of(self, run: PlannedRun) -> float:
        """Of the whole run, with what is measured on the way."""
        looks = run.measurements * 2 * _LOOK * max(1.0, _EXAMPLES / run.settings.batch_size) * self.gradient
        return run.steps * self.step + looks


def measure_step(run: PlannedRun, device: str) -> StepTime:
    """Time a few steps of a run's optimizer on its network, with random images, one thread on a CPU.

    Example:
        >>> from eigensam.optim import TrainSettings
        >>> found = measure_step(PlannedRun("a", TrainSettings("sam"), 10, (1, 8, 8), 10, False), "cpu")
        >>> 0 < found.step < 10, found.scaled
        (True, False)
    """
    batch = run.settings.batch_size
    few = min(batch, _IMAGES) if device == "cpu" else batch
    with torch.random.fork_rng():
        found = _measure(run, device, few)
        if few == batch or found.step * batch / few > _LONGEST:
            factor = batch / few
            return StepTime(found.step * factor, found.gradient * factor, few < batch)
        return _measure(run, device, batch)


def _measure(run: PlannedRun, device: str, images: int) -> StepTime:
    torch.manual_seed(0)
    settings = run.settings
    model = build_model(settings.model, run.shape, run.classes).to(device)
    count = settings.method.closures
    inputs = torch.randn(max(images, 2 * count), *run.shape, device=device)
    targets = torch.randint(run.classes, (len(inputs),), device=device)
    optimizer = make_optimizer(settings, model)

    def loss(part: int = 0) -> torch.Tensor:
        return cross_entropy(model(inputs[part::count]), targets[part::count])

    def step() -> None:
        if isinstance(optimizer, SharpnessAwareOptimizer):
            optimizer.step([partial(loss, part) for part in range(count)])
        else:
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

    gradient = min(_timed(lambda: _backward(model, loss), device) for _ in range(2))
    steps = [_timed(step, device) for _ in range(3)]
    usual, first = min(steps[1:]), steps[0]
    every = getattr(settings.method, "refresh_every", 0)
    return StepTime(usual + (max(first - usual, 0.0) / every if every else 0.0), gradient, scaled=False)


def _backward(model: nn.Module, loss: Callable[[], torch.Tensor]) -> None:
    torch.autograd.grad(loss(), [p for p in model.parameters() if p.requires_grad])


def _timed(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start
