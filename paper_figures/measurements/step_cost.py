"""What a step of a method costs, counted rather than timed."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from ...landscapes.runs.build import build_model
from ...optim.methods.sgd import SGDSettings
from ...optim.sharpness_aware import SharpnessAwareOptimizer
from ...optim.training.made_optimizer import make_optimizer
from ...optim.training.settings import TrainSettings

__all__ = ["gradients_per_step"]

_IMAGES = 24  # split evenly among closures; the ratio hardly depends on it


def gradients_per_step(settings: TrainSettings, shape: tuple[int, int, int], classes: int) -> float:
    """Multiplications in a step of the method over those in a step of SGD, on average over its refreshes.

    Only those of matrix products and convolutions are counted, Hessian products included.

    Args:
        settings: of the method and its network.
        shape: of an image, channels first.
        classes: of the data.

    Example:
        >>> from eigensam.optim import TrainSettings
        >>> [round(gradients_per_step(TrainSettings(name), (1, 8, 8), 10), 3) for name in ("sam", "cr-sam")]
        [2.0, 3.0]
    """
    method: Any = settings.method
    every = getattr(method, "refresh_every", None)
    if every is not None:
        method = replace(method, refresh_every=2)
    # The first two steps may differ from all others: moments begin, and a first refresh checks its products.
    steps = _counted(replace(settings, optimizer=method), shape, classes)[2:]
    usual, refresh = min(steps), max(steps)
    mean = usual if every is None else usual + (refresh - usual) / every
    return mean / _counted(replace(settings, optimizer=SGDSettings()), shape, classes)[-1]


def _counted(settings: TrainSettings, shape: tuple[int, int, int], classes: int) -> list[int]:
    """Of each of four steps."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(settings.model, shape, classes)
        count = settings.method.closures
        inputs = torch.randn(_IMAGES, *shape)
        targets = torch.randint(classes, (len(inputs),))
        optimizer = make_optimizer(settings, model)

        def loss(part: int = 0) -> torch.Tensor:
            return cross_entropy(model(inputs[part::count]), targets[part::count])

        found = []
        for _ in range(4):
            with FlopCounterMode(display=False) as counter:
                if isinstance(optimizer, SharpnessAwareOptimizer):
                    optimizer.step([partial(loss, part) for part in range(count)])
                else:
                    optimizer.zero_grad()
                    loss().backward()
                    optimizer.step()
            found.append(counter.get_total_flops())
    return found
