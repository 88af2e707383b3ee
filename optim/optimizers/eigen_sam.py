"""Eigen-SAM: SAM whose perturbation is turned towards the top eigenvector of the Hessian."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..eigenvector_estimate import Eigensolver
from ..passes import Closure
from ..refreshed_eigenvector import EigenvectorOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["EigenSAM", "eigen_perturbation"]


def eigen_perturbation(g: Tensor, v: Tensor, alpha: float, *, normalize: bool = False) -> Tensor:
    """``u = g/|g| + alpha sign<g, v> v_perp``, ``v_perp = v - <v, g/|g|> g/|g|`` (the paper, eq. 8).

    Args:
        g: gradients, shape ``(..., d)``.
        v: unit eigenvector, shape ``(d,)``; its sign does not matter.
        alpha: weight of the eigenvector, at least 0.
        normalize: rescale ``u`` to length 1 (eq. 8 has length ``sqrt(1 + alpha^2 |v_perp|^2)``).

    Returns:
        Shape of ``g``; zero where ``g`` is zero.

    Example:
        >>> import torch
        >>> eigen_perturbation(torch.tensor([2.0, 0.0]), torch.tensor([0.6, -0.8]), 0.5).tolist()
        [1.0, -0.4000000059604645]
    """
    direction = _unit(g)
    cosine = (direction * v).sum(-1, keepdim=True)
    u = direction + alpha * cosine.sign() * (v - cosine * direction)
    return _unit(u) if normalize else u


def _unit(g: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(g, dim=-1, keepdim=True)
    # Squares of very small and very large numbers are out of range.
    far = (norm < max(1e-18, torch.finfo(norm.dtype).tiny)) | norm.isinf()
    largest = g.abs().amax(-1, keepdim=True)
    g = g / torch.where(far & (largest > 0), largest, torch.ones_like(norm))
    norm = torch.where(far, torch.linalg.vector_norm(g, dim=-1, keepdim=True), norm)
    return g / torch.where(norm > 0, norm, torch.ones_like(norm))


@final
class EigenSAM(EigenvectorOptimizer):
    """SAM with the perturbation of eq. 8; every ``k`` steps the eigenvector is estimated anew.

    A *refresh* takes place at steps 1, k + 1, 2k + 1, ... and starts from the previous eigenvector; it costs one
    gradient and ``p`` Hessian-vector products (the paper, Algorithms 1 and 2), so a step costs ``1 + p c/(2k)`` steps
    of SAM, where a product costs ``c`` gradients. In a loop that calls ``first_step``, call :meth:`refresh` where
    :attr:`due` says so.

    Under ``DistributedDataParallel`` all workers estimate one eigenvector, that of their joint minibatch, and average
    each product for it. Sharded models (FSDP2), which cannot be differentiated twice, are refused.

    Args:
        params: parameters or parameter groups, on one device; every group may have its own ``rho`` and ``alpha``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        alpha: weight of the eigenvector, at least 0 (paper: tuned over 0.05, 0.1, 0.2); 0 is SAM.
        refresh_every: ``k >= 1`` (paper: 100).
        iterations: ``p >= 1`` products per refresh (released code: 5).
        solver: ``lanczos`` for the largest eigenvalue; ``power``, as in the paper, with as many products finds the one
            of largest magnitude, less accurately.
        normalize: keep the perturbation's length at ``rho`` (default as in eq. 8: not).
        curvature: whose Hessian: ``minibatch``, the step's own; ``stream``, that of past minibatches, ``p`` products
            in ``k`` steps but at most one in each, ``v <- (1 - 1/p) v + H v/(p |lambda|)`` (Oja); or a closure, or
            several, of a larger batch.
        guard: length of a random vector that is added to the previous eigenvector at a refresh. Without one an
            eigenvector that has been overtaken by another would stay.
        seed: of what is drawn; of workers that share an eigenvector the first one's counts.
        check: whether the first refresh compares its Hessian products with differences of gradients, see
            :class:`ClosureHessian`; products that are wrong are then taken from differences.
        synchronised: whether workers of ``DistributedDataParallel`` share one eigenvector, bit for bit; else each has
            that of its own minibatch, and the perturbations differ although gradients are averaged.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Attributes:
        eigenvalue: Rayleigh quotient of the eigenvector at the last refresh.
        residual: ``|H v - eigenvalue v|`` there.
        alignment: ``|<g/|g|, v>|`` in the last step; NaN if that perturbed nothing.
        decay: ``|<v_old, v_new>|`` at the last refresh: how well the estimate had kept.
        steps: taken so far.
        checked: whether and how the products of refreshes were checked.

    Raises:
        InputError: an argument out of range; a Hessian-vector product that is not finite.

    Example:
        >>> import torch
        >>> from eigensam.optim import EigenSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 0.1], dtype=torch.float64))
        >>> optimizer = EigenSAM([x], rho=0.1, alpha=0.5, lr=0.01)
        >>> loss = optimizer.step(lambda: 0.5 * (x[0] ** 2 + 9 * x[1] ** 2))
        >>> round(optimizer.eigenvalue, 6)
        9.0
    """

    kept_settings = ("source", "refresh_every", "iterations", "solver", "normalize", "guard", "seed")

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
        normalize: bool = False,
        curvature: str | Closure | Sequence[Closure] = "minibatch",
        guard: float = 0.1,
        seed: int = 0,
        check: bool = True,
        synchronised: bool = True,
        **options: Any,
    ) -> None:
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
            synchronised=synchronised,
            **options,
        )
        self.normalize = bool(normalize)
        self._cosine = math.nan

    def check_group(self, group: dict[str, Any]) -> None:
        """Also ``alpha``."""
        super().check_group(group)
        if not 0 <= group["alpha"] < math.inf:
            raise InputError(
                f"alpha = {group['alpha']} is negative or not finite; give alpha >= 0 (the paper tunes 0.05 to 0.2)"
            )

    def ascent(self, g: Vector) -> Vector:
        """Eq. 8 with the current eigenvector."""
        if math.isnan(self.eigenvalue):
            raise InputError("no eigenvector yet; take a step or call refresh(closure) first")
        norm = g.norm()
        if norm == 0:
            return g
        v = self.eigenvector_parts()
        self._cosine = cosine = g.dot(v) / norm
        alphas = [float(alpha) for alpha in self.of_moving("alpha")]
        along, across = [(1 - a * abs(cosine)) / norm for a in alphas], [a * _sign(cosine) for a in alphas]
        if len(set(alphas)) == 1:
            g.mul_(along[0]).plus(v, across[0])
        else:
            g.mul_(along).add_(v, across)
        return unit_(g) if self.normalize else g

    def perturbation(self, g: Tensor) -> Tensor:
        """See the base class; what is said of the last step stays."""
        cosine = self._cosine
        try:
            return super().perturbation(g)
        finally:
            self._cosine = cosine

    def forget(self) -> None:
        """The alignment of another step: one whose gradient is zero has none."""
        self._cosine = math.nan

    def finish(self) -> None:
        """Count the step."""
        self.alignment = abs(self._cosine)
        super().finish()


def _sign(value: float) -> float:
    return float((value > 0) - (value < 0))
