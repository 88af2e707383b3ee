"""The learning rate of each step of a run: the schedule's, times a warm-up. Loads no torch."""

import math
from fractions import Fraction

from ...ground.errors import InputError
from .settings import TrainSettings

__all__ = ["learning_rate"]


def learning_rate(settings: TrainSettings, step: int, steps_per_epoch: int) -> float:
    r"""The learning rate of one step.

    ``lr * factor(t) * min(1, (t + 1/s) / w)`` with ``t = step / s`` epochs trained, ``s`` steps per epoch and ``w``
    warm-up epochs: a ramp that ends with the full rate and begins with one part of it, not with a step of length zero
    (Goyal et al. 2017, Section 2.2). The schedule is not moved: its epochs are those of the run.

    Args:
        settings: of the run.
        step: steps taken before it.
        steps_per_epoch: whole minibatches of the training set.

    Raises:
        InputError: a schedule, which may be another package's, gives a factor that is negative or not finite.

    Example:
        >>> settings = TrainSettings(lr=0.1, epochs=10, schedule="constant", warmup_epochs=1.0)
        >>> [round(learning_rate(settings, step, 4), 4) for step in range(6)]
        [0.025, 0.05, 0.075, 0.1, 0.1, 0.1]
    """
    epoch = Fraction(step, steps_per_epoch)  # exactly, so that where a step falls is no matter of rounding
    factor = settings.rate.factor(epoch, settings.epochs)
    if not 0 <= factor < math.inf:
        raise InputError(
            f"the schedule '{settings.rate.name}' gives the factor {factor} at epoch {float(epoch):g}; "
            "it must be 0 or more, and finite"
        )
    warm_up = settings.warmup_epochs * steps_per_epoch
    if step + 1 < warm_up:
        factor *= (step + 1) / warm_up
    return settings.lr * factor
