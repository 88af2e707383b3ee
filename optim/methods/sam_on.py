"""SAM on normalisation layers only, in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..method import Method
from ..registry import register
from .sam import radius

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

__all__ = ["SAMONSettings"]


@register("sam-on", order=22)
@dataclass(frozen=True)
class SAMONSettings(Method):
    """Settings of :class:`SAM` on the groups of :func:`normalization_groups`.

    Attributes:
        rho: perturbation radius of the normalisation layers (ours: five times SAM's, which it leaves fewer numbers to
            move; the paper tunes it anew, too).
    """

    label = "SAM-ON"
    rho: float = radius(0.5, "Radius of the perturbation of the normalisation layers, larger than SAM's.")

    def groups(self, model: "nn.Module") -> list[Any]:
        """Normalisation layers with the radius, all others without one.

        Raises:
            InputError: the network has no normalisation layers.
        """
        from ..normalization_layers import normalization_groups

        return normalization_groups(model, rho=self.rho)

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """SAM around the base optimizer, on the groups of :meth:`groups`."""
        from ..optimizers.sam import SAM

        return SAM(parameters, rho=self.rho, **base)
