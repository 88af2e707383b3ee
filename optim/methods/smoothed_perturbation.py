"""The randomly smoothed perturbation algorithm in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.settings import setting
from ..method import Method
from ..registry import register
from .sam import radius

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["SmoothedPerturbationSettings", "far_ratio", "gradient_tolerance"]


def gradient_tolerance() -> Any:
    """The field ``tolerance``: the largest gradient near a minimum."""
    return setting(
        0.0,
        "Norm of the gradient up to which a step is perturbed (epsilon_0 in the paper of Ahn et al.); 0 is every step.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0, where 0 is every step",
    )


def far_ratio() -> Any:
    """The field ``far``: how much faster the training is elsewhere."""
    return setting(
        1.0,
        "Ratio of the learning rates of steps that are not perturbed and of those that are (eta'/eta in the paper of "
        "Ahn et al.).",
        holds=lambda value: value > 0,
        otherwise="must be positive; 1 is one learning rate",
    )


@register("smoothed-perturbation", order=24)
@dataclass(frozen=True)
class SmoothedPerturbationSettings(Method):
    """Settings of :class:`SmoothedPerturbation`.

    Attributes:
        rho: perturbation radius.
        tolerance: norm of the gradient up to which a step is perturbed; 0 is every step.
        far: ratio of the learning rates of steps that are not perturbed and of those that are.
    """

    label = "Smoothed perturbation"
    rho: float = radius()
    tolerance: float = gradient_tolerance()
    far: float = far_ratio()

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Around the base optimizer; the perturbations are drawn with the run's seed."""
        from ..optimizers.smoothed_perturbation import SmoothedPerturbation

        tolerance = self.tolerance or float("inf")
        return SmoothedPerturbation(parameters, rho=self.rho, tolerance=tolerance, far=self.far, seed=seed, **base)
