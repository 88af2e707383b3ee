"""SAM along a moving average of gradients."""

from collections.abc import Iterable
from typing import Any, final

from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..moving_average import MovingAverageOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["VaSSO"]


@final
class VaSSO(MovingAverageOptimizer):
    """``x+ = base step with grad f_m(x + rho d / |d|)``, ``d = (1 - theta) d + theta g`` (Li & Giannakis 2023).

    The average suppresses the minibatch's noise in the perturbation. It starts with the first gradient, as in the
    released code, for each parameter on its own. A step that is not taken does not change it.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        theta: weight of the newest gradient in (0, 1] (released code: 0.9); 1 is SAM.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``; ``theta`` outside of (0, 1].

    Example:
        >>> import torch
        >>> from eigensam.optim import VaSSO
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = VaSSO([x], rho=0.1, theta=0.5, lr=0.1)
        >>> _ = [optimizer.step(lambda i=i: x[i]) for i in (0, 1)]  # gradients (1, 0), (0, 1)
        >>> optimizer.state[x]["direction"].tolist()
        [0.5, 0.5]
    """

    kept_settings = ("theta",)
    kept_tensors = ("direction",)
    average_name = "direction"

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        theta: float = 0.9,
        **options: Any,
    ) -> None:
        if not 0 < theta <= 1:
            raise InputError(f"theta = {theta} is not a weight; give one in (0, 1], such as 0.9; 1 is SAM")
        super().__init__(params, base, rho=rho, **options)
        self.theta = float(theta)

    @property
    def newest(self) -> float:
        """Theta."""
        return self.theta

    def ascent(self, g: Vector) -> Vector:
        """``d / |d|`` with the average that this gradient would make."""
        return unit_(self.averaged(g))
