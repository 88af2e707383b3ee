"""What a training costs here: gradients that are timed on random images, for an estimate of what a preset takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..landscapes.runs.build import build_model
from ..optim.method import Method
from ..optim.training.settings import TrainSettings
from .measurements.step_cost import gradients_per_step
from .planned_run import PlannedRun

__all__ = ["GradientTime", "gradients_of_a_step", "measure_gradient", "seconds_of"]

_IMAGES = 4  # of a first, small gradient, which tells whether a whole one would take too long
_LONGEST = 1.0  # seconds; a longer gradient is extrapolated from a small one
_PRODUCTS = 30  # of one measurement of the top eigenvalue, at most, each about two gradients
_EXAMPLES = 2000  # of each product
_YARDSTICK = ("cnn2", (1, 28, 28), 10)  # a small network, its images and classes: the ratio hardly depends on it


@dataclass(frozen=True)
class GradientTime:
    """Time of the gradient of one minibatch.

    Attributes:
        seconds: measured here, one thread on a CPU.
        scaled: whether that was extrapolated from a few images.
    """

    seconds: float
    scaled: bool


def measure_gradient(run: PlannedRun, device: str) -> GradientTime:
    """Time the gradient of a run's network for one of its minibatches, on random images.

    Example:
        >>> found = measure_gradient(PlannedRun("a", TrainSettings("sam"), 10, (1, 8, 8), 10, False), "cpu")
        >>> 0 < found.seconds < 10, found.scaled
        (True, False)
    """
    batch = run.settings.batch_size
    few = min(batch, _IMAGES) if device == "cpu" else batch
    with torch.random.fork_rng():
        model = build_model(run.settings.model, run.shape, run.classes).to(device)
        seconds = _gradient(model, run.shape, few, device)
        if few < batch and seconds * batch / few > _LONGEST:
            return GradientTime(seconds * batch / few, scaled=True)
        return GradientTime(_gradient(model, run.shape, batch, device) if few < batch else seconds, scaled=False)


def gradients_of_a_step(settings: TrainSettings) -> float:
    """How many gradients a step of the optimizer costs, on average over its refreshes: counted on a small network.

    Example:
        >>> [round(gradients_of_a_step(TrainSettings(name)), 3) for name in ("sgd", "sam")]
        [1.0, 2.0]
    """
    return _gradients(settings.method)


@cache
def _gradients(method: Method) -> float:
    model, shape, classes = _YARDSTICK
    return gradients_per_step(TrainSettings(method, model=model), shape, classes)


def seconds_of(run: PlannedRun, gradient: float) -> float:
    """Of a whole run, with what is measured on the way: an estimate.

    Args:
        run: a training.
        gradient: seconds of one minibatch's gradient.
    """
    looks = run.measurements * 2 * _PRODUCTS * max(1.0, _EXAMPLES / run.settings.batch_size)
    return (run.steps * gradients_of_a_step(run.settings) + looks) * gradient


def _images(shape: tuple[int, ...], count: int, device: str) -> Tensor:
    return torch.rand(count, *shape, device=device)


def _gradient(model: nn.Module, shape: tuple[int, ...], count: int, device: str) -> float:
    """The faster one of two: the first also allocates."""
    inputs = _images(shape, max(count, 2), device)  # batch norm needs two
    parameters = [p for p in model.parameters() if p.requires_grad]

    def work() -> None:
        outputs = model(inputs)
        loss = cross_entropy(outputs, torch.zeros(len(inputs), dtype=torch.int64, device=device))
        torch.autograd.grad(loss, parameters)

    return min(_timed(work, device) for _ in range(2))


def _timed(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start
