"""X-SAM in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.settings import setting
from ..method import Method
from ..registry import register
from .eigen_sam import eigensolver, guard_length, interval, products, whose_hessian
from .sam import radius

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["XSAMSettings"]


@register("x-sam", order=23)
@dataclass(frozen=True)
class XSAMSettings(Method):
    """Settings of :class:`XSAM`.

    Attributes:
        rho: perturbation radius.
        alpha: how much of the component along the eigenvector is taken away (X-SAM's paper: 0.2).
        refresh_every: steps between eigenvector estimates.
        iterations: Hessian-vector products per estimate.
        solver: ``lanczos`` or ``power``.
        curvature: whose Hessian: ``minibatch``, the step's own, or ``stream``, that of past ones.
        guard: length of the random vector that is added to the previous estimate.
    """

    label = "X-SAM"
    rho: float = radius()
    alpha: float = setting(
        0.2,
        "How much of the gradient's component along the eigenvector X-SAM takes away; 0.2 in its paper, 0 is SAM.",
        holds=lambda value: 0 <= value <= 2,
        otherwise="must lie in [0, 2]; 0 is SAM",
    )
    refresh_every: int = interval()
    iterations: int = products()
    solver: str = eigensolver()
    curvature: str = whose_hessian()
    guard: float = guard_length()

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """X-SAM around the base optimizer; the first start vector is drawn with the run's seed."""
        from ..optimizers.x_sam import XSAM

        return XSAM(
            parameters,
            rho=self.rho,
            alpha=self.alpha,
            refresh_every=self.refresh_every,
            iterations=self.iterations,
            solver=self.solver,  # type: ignore[arg-type]
            curvature=self.curvature,
            guard=self.guard,
            seed=seed,
            **base,
        )
