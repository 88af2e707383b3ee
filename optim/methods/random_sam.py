"""Random SAM in a run."""

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

__all__ = ["RandomSAMSettings"]


@register("random-sam", order=11)
@dataclass(frozen=True)
class RandomSAMSettings(Method):
    """Settings of :class:`RandomSAM`.

    Attributes:
        rho: perturbation radius.
        gaussian: leave the noise at its own length, ``rho`` times a Gaussian vector.
    """

    label = "Random SAM"
    rho: float = radius()
    gaussian: bool = setting(False, "Perturb by rho times a Gaussian vector; else this vector is scaled to length rho.")

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Random SAM around SGD; the perturbations are drawn with the run's seed."""
        from ..optimizers.random_sam import RandomSAM

        return RandomSAM(parameters, rho=self.rho, gaussian=self.gaussian, seed=seed, **base)
