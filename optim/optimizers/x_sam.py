"""X-SAM: the gradient of SAM, with less of the top eigenvector of the Hessian in it."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, final

from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..eigenvector_estimate import Eigensolver
from ..passes import Closure
from ..refreshed_eigenvector import EigenvectorOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["XSAM"]


@final
class XSAM(EigenvectorOptimizer):
    """Base step along ``(I - alpha v v^T) g_p``, ``g_p = grad f_m(x + rho g/|g|)`` (Duan, Chen and Guan 2026).

    ``v`` is the unit top eigenvector of the Hessian, estimated as Eigen-SAM's; it corrects the step here, not the
    perturbation (arXiv 2601.10251; not the XSAM of 2603.10048). With ``alpha`` from [0, 2] the matrix lengthens
    nothing: 0 is SAM, 1 takes the component along ``v`` away, 2 reverses it.

    This is the operator that the paper's Theorem 5.1 is about. Its update, equation 11, normalises ``g_p`` and has
    ``sign<g_p, v>`` in front of the projection ``<g_p, v> v``. The projection does not depend on which of ``v`` and
    ``-v`` an eigensolver returns, but that sign does: it would add the component or take it away as chance has it, so
    it is left out. A step along a normalised gradient is another step length, which is left to the base.

    What has a gradient of exactly 0, as a parameter that no pass uses and a row that nobody looks up, stays where it
    is: an estimate of few products has entries there, which its random start has left.

    Under ``DistributedDataParallel`` all workers share one eigenvector, as they all have to step alike; sharded models
    (FSDP2) are refused.

    Args:
        params: parameters or parameter groups, on one device; every group may have its own ``rho`` and ``alpha``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0 (paper: 0.05 for CIFAR-10, 0.1 for CIFAR-100).
        alpha: how much of the component is taken away, in [0, 2] (paper: 0.2).
        refresh_every: steps from one estimate of the eigenvector to the next (ours: as Eigen-SAM's; the released
            example has a frequency of 3, and does not say of what).
        iterations: Hessian-vector products of an estimate (ours: as Eigen-SAM's).
        solver: ``lanczos``; ``power``, as in the paper, finds the eigenvalue of largest magnitude, less accurately.
        curvature: whose Hessian, see :class:`EigenSAM`.
        guard: length of the random vector that is added to the previous estimate, see :class:`EigenSAM`.
        seed: of what is drawn.
        check: whether the first refresh checks its products, see :class:`EigenSAM`.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Attributes:
        eigenvalue: Rayleigh quotient of the eigenvector at the last refresh.
        residual: ``|H v - eigenvalue v|`` there.
        alignment: ``|<g_p/|g_p|, v>|`` in the last step, before the correction; NaN if that perturbed nothing.
        decay: ``|<v_old, v_new>|`` at the last refresh.
        steps: taken so far.
        checked: whether and how the products of refreshes were checked.

    Raises:
        InputError: an argument out of range; a Hessian-vector product that is not finite.

    Example:
        >>> import torch
        >>> from eigensam.optim import XSAM
        >>> x = torch.nn.Parameter(torch.tensor([0.4, 0.3], dtype=torch.float64))
        >>> optimizer = XSAM([x], rho=0.5, alpha=1.0, lr=0.1)
        >>> loss = optimizer.step(lambda: 0.5 * (x[0] ** 2 + 2 * x[1] ** 2))
        >>> [round(each, 6) for each in x.tolist()]  # 0.4 - 0.1 * (0.4 + 0.5 * 0.4/sqrt(0.52)); x[1] stays
        [0.332265, 0.3]
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        alpha: float = 0.2,
        refresh_every: int = 100,
        iterations: int = 5,
        solver: Eigensolver = "lanczos",
        curvature: str | Closure | Sequence[Closure] = "minibatch",
        guard: float = 0.1,
        seed: int = 0,
        check: bool = True,
        **options: Any,
    ) -> None:
        if "synchronised" in options:
            raise InputError("workers of X-SAM step along the eigenvector, so they share one; leave synchronised out")
        super().__init__(
            params,
            base,
            rho=rho,
            groups={"alpha": alpha},
            refresh_every=refresh_every,
            iterations=iterations,
            solver=solver,
            curvature=curvature,
            guard=guard,
            seed=seed,
            check=check,
            **options,
        )
        self._uncorrected = False
        self._cosine = math.nan

    def check_group(self, group: dict[str, Any]) -> None:
        """Also ``alpha``."""
        super().check_group(group)
        if not 0 <= group["alpha"] <= 2:
            raise InputError(f"alpha = {group['alpha']} would lengthen the gradient; give 0 (SAM) to 2 (paper: 0.2)")

    def ascent(self, g: Vector) -> Vector:
        """``g / |g|``; zero where ``g`` is zero."""
        return unit_(g)

    def forget(self) -> None:
        """A step that was not taken."""
        self._uncorrected, self._cosine = False, math.nan

    def remember(self, g: Vector) -> None:
        """That the second half of this step is to come."""
        self._uncorrected = True

    def combined(self, second: Vector) -> Vector | None:
        """``g_p - alpha <g_p, v> v`` over the parameters that are perturbed."""
        if not self._uncorrected:
            return None
        self._uncorrected = False
        moving = second.select(self.perturbed())
        norm, v = moving.norm(), self.eigenvector_parts()
        along = moving.dot(v)
        self._cosine = along / norm if norm > 0 else math.nan
        reached = moving.like((part != 0).to(part.dtype) for part in moving.parts)
        moving.add_(reached.times_(v), [-float(alpha) * along for alpha in self.of_moving("alpha")])
        return second

    def finish(self) -> None:
        """Count the step."""
        self.alignment = abs(self._cosine)
        super().finish()
