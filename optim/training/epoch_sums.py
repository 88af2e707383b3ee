"""Sums over the steps of an epoch, of which its metrics are made."""

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["EpochSums"]


@dataclass
class EpochSums:
    """What has been added up since an epoch began; part of the saved state.

    Losses and gradients that are not finite, which a scaled loss has at times, are left out of their means.

    Attributes:
        loss: of ``losses`` steps.
        losses: steps whose loss was finite.
        gradient_norm: of ``gradients`` steps.
        gradients: steps whose gradient was finite.
        left_out: steps that a scaled loss did not take.
        seconds: that all steps took.
        curvature_seconds: that curvature took.
        lr: of the last step.

    Example:
        >>> sums = EpochSums()
        >>> for loss in (2.0, math.inf, 1.0):
        ...     sums.add_step(loss, lr=0.1, seconds=0.5)
        >>> sums.means(), sums.seconds
        ({'lr': 0.1, 'train_loss': 1.5, 'gradient_norm': None}, 1.5)
    """

    loss: float = 0.0
    losses: int = 0
    gradient_norm: float = 0.0
    gradients: int = 0
    left_out: int = 0
    seconds: float = 0.0
    curvature_seconds: float = 0.0
    lr: float = 0.0

    def add_step(self, loss: float, lr: float, seconds: float) -> None:
        """After a step."""
        self.seconds += seconds
        self.lr = lr
        if math.isfinite(loss):
            self.loss += loss
            self.losses += 1

    def add_gradient(self, norm: float) -> None:
        """Before a base optimizer's step."""
        if math.isfinite(norm):
            self.gradient_norm += norm
            self.gradients += 1

    def means(self) -> dict[str, Any]:
        """None of nothing: where a scale was too large all the time, 0 would look like a perfect fit."""
        return {
            "lr": self.lr,
            "train_loss": self.loss / self.losses if self.losses else None,
            "gradient_norm": self.gradient_norm / self.gradients if self.gradients else None,
        }
