"""Eigen-SAM in a run."""

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

__all__ = ["EigenSAMSettings", "eigensolver", "guard_length", "interval", "products", "whose_hessian"]


def interval() -> Any:
    """The field ``refresh_every``: steps between two estimates."""
    return setting(
        100,
        "Steps from one estimate of the eigenvector to the next (k in the paper, which uses 100).",
        holds=lambda value: value >= 1,
        otherwise="must be at least 1",
    )


def products() -> Any:
    """The field ``iterations``: of each estimate."""
    return setting(
        5,
        "Hessian-vector products of each estimate (p in the paper; its released code uses 5).",
        holds=lambda value: value >= 1,
        otherwise="must be at least 1",
    )


def eigensolver() -> Any:
    """The field ``solver``: how the eigenvector is estimated."""
    return setting(
        "lanczos",
        "How the eigenvector is estimated: Lanczos finds the largest eigenvalue; power iteration, as in the paper, the "
        "one of largest magnitude, less accurately.",
        choices=lambda: ("lanczos", "power"),
    )


def whose_hessian() -> Any:
    """The field ``curvature``: the minibatch's, or the stream's."""
    return setting(
        "minibatch",
        "Whose Hessian: that of the minibatch at hand, as in the paper, or of the stream of past minibatches, one "
        "product at a time.",
        choices=lambda: ("minibatch", "stream"),
    )


def guard_length() -> Any:
    """The field ``guard``: of the random vector."""
    return setting(
        0.1,
        "Length of the random vector that is added to the previous estimate before a new one, so that an eigenvector "
        "that has been overtaken is left; 0 in the paper.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0",
    )


@register("eigen-sam", order=3)
@dataclass(frozen=True)
class EigenSAMSettings(Method):
    """Settings of :class:`EigenSAM`.

    Attributes:
        rho: perturbation radius (released code: 0.1).
        alpha: weight of the eigenvector (released code: 0.2).
        refresh_every: steps between eigenvector estimates (paper: 100).
        iterations: Hessian-vector products per estimate (released code: 5).
        solver: ``lanczos`` or ``power`` (paper).
        normalize: keep the perturbation at length ``rho`` (paper: not).
        curvature: whose Hessian: ``minibatch``, the step's own, or ``stream``, that of past ones.
        guard: length of the random vector that is added to the previous estimate (paper: none).
    """

    label = "Eigen-SAM"
    rho: float = radius()
    alpha: float = setting(
        0.2,
        "Weight of the eigenvector in the perturbation; the paper tunes it over 0.05, 0.1 and 0.2.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0; the paper tunes 0.05 to 0.2",
    )
    refresh_every: int = interval()
    iterations: int = products()
    solver: str = eigensolver()
    normalize: bool = setting(False, "Keep the perturbation at length rho; equation 8 of the paper makes it longer.")

    curvature: str = whose_hessian()
    guard: float = guard_length()

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Eigen-SAM around SGD; the first start vector is drawn with the run's seed."""
        from ..optimizers.eigen_sam import EigenSAM

        return EigenSAM(
            parameters,
            rho=self.rho,
            alpha=self.alpha,
            refresh_every=self.refresh_every,
            iterations=self.iterations,
            solver=self.solver,  # type: ignore[arg-type]
            normalize=self.normalize,
            curvature=self.curvature,
            guard=self.guard,
            seed=seed,
            **base,
        )
