"""The sharpness-aware perturbation algorithm in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.settings import setting
from ..method import Method
from ..registry import register
from .sam import radius
from .smoothed_perturbation import far_ratio, gradient_tolerance

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["AwarePerturbationSettings"]


@register("aware-perturbation", order=25)
@dataclass(frozen=True)
class AwarePerturbationSettings(Method):
    """Settings of :class:`AwarePerturbation`.

    Attributes:
        rho: perturbation radius.
        tolerance: norm of the gradient up to which a step is perturbed; 0 is every step.
        far: ratio of the learning rates of steps that are not perturbed and of those that are.
        parts: equal parts of each minibatch, one of which makes the perturbation.
    """

    label = "Sharpness-aware perturbation"
    rho: float = radius()
    tolerance: float = gradient_tolerance()
    far: float = far_ratio()
    parts: int = setting(
        1,
        "Equal parts of each minibatch, of which one, drawn in every step, makes the perturbation; as many as examples "
        "are Algorithm 2 of Ahn et al., 1 takes the minibatch itself.",
        holds=lambda value: value >= 1,
        otherwise="must be at least 1",
    )

    @property
    def closures(self) -> int:
        """One for each part."""
        return self.parts

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Around the base optimizer; signs and parts are drawn with the run's seed."""
        from ..optimizers.aware_perturbation import AwarePerturbation

        tolerance = self.tolerance or float("inf")
        return AwarePerturbation(parameters, rho=self.rho, tolerance=tolerance, far=self.far, seed=seed, **base)
