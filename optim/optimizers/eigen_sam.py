"""Eigen-SAM: SAM whose perturbation is turned towards the top eigenvector of the Hessian."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final, get_args

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ...landscapes.curvature.closure_hessian import ClosureCheck
from ...landscapes.derivatives.one_function import OneFunction
from ...landscapes.spectra.lanczos_iteration import lanczos
from ...landscapes.spectra.operators import SymmetricOperator
from ..eigenvector_estimate import Eigensolver, EigenvectorEstimate, estimate, hessian_of, negative, refreshing
from ..passes import Closure, Passes
from ..surroundings import refuse_surroundings
from ..two_pass import TwoPassOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["EigenSAM", "eigen_perturbation"]

_PER_PART = "eigenvector"


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
class EigenSAM(TwoPassOptimizer):
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
    kept_numbers = ("steps", "eigenvalue", "residual", "alignment", "decay", "_refreshed_at")
    kept_tensors = (_PER_PART,)

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
        if any(each < 1 or each % 1 != 0 for each in (refresh_every, iterations)):
            raise InputError(
                f"refresh_every = {refresh_every}, iterations = {iterations}: both must be whole numbers, at least 1"
            )
        if solver not in get_args(Eigensolver):
            raise InputError(f"unknown solver '{solver}'; choose one of: {', '.join(get_args(Eigensolver))}")
        if not 0 <= guard < math.inf:
            raise InputError(f"guard = {guard} is the length of a vector; give 0 or more, such as 0.1")
        if isinstance(curvature, str) and curvature not in ("minibatch", "stream"):
            raise InputError(f"curvature = '{curvature}'; choose minibatch or stream, or give a closure")
        super().__init__(params, base, rho=rho, groups={"alpha": alpha}, **options)
        self.refresh_every, self.iterations, self.solver = int(refresh_every), int(iterations), solver
        self.normalize, self.curvature, self.guard, self.seed = bool(normalize), curvature, float(guard), int(seed)
        self.synchronised = synchronised
        self._check = ClosureCheck(check)
        self.steps = 0
        self.eigenvalue = self.residual = self.alignment = self.decay = math.nan
        self._cosine, self._refreshed_at = math.nan, -1

    def check_group(self, group: dict[str, Any]) -> None:
        """Also ``alpha``."""
        super().check_group(group)
        if not 0 <= group["alpha"] < math.inf:
            raise InputError(
                f"alpha = {group['alpha']} is negative or not finite; give alpha >= 0 (the paper tunes 0.05 to 0.2)"
            )

    @property
    def source(self) -> str:
        """Whose Hessian: ``minibatch``, ``stream`` or ``closure``."""
        return self.curvature if isinstance(self.curvature, str) else "closure"

    @property
    def checked(self) -> str:
        """See above."""
        return self._check.how

    @property
    def due(self) -> bool:
        """Whether the coming step begins with a refresh: its turn has come, or nothing has been perturbed before."""
        turn = self.steps % self.refresh_every == 0 and self._refreshed_at != self.steps
        return (turn or math.isnan(self.eigenvalue)) and any(self.perturbed())

    @property
    def eigenvector(self) -> Tensor | None:
        """Estimate over the perturbed parameters in one piece, shape ``(d,)``; None before the first refresh."""
        if math.isnan(self.eigenvalue):
            return None
        return self._eigenvector().flat()

    def _eigenvector(self) -> Vector:
        """Zero for parameters that have been added, or have been unfrozen, since the last refresh."""
        return Vector(
            self.state[p][_PER_PART] if _PER_PART in self.state.get(p, {}) else torch.zeros_like(p)
            for p in self.moving()
        )

    def ascent(self, g: Vector) -> Vector:
        """Eq. 8 with the current eigenvector."""
        if math.isnan(self.eigenvalue):
            raise InputError("no eigenvector yet; take a step or call refresh(closure) first")
        norm = g.norm()
        if norm == 0:
            return g
        v = self._eigenvector()
        self._cosine = cosine = g.dot(v) / norm
        alphas = [float(alpha) for alpha in self.of_moving("alpha")]
        along, across = [(1 - a * abs(cosine)) / norm for a in alphas], [a * _sign(cosine) for a in alphas]
        if len(set(alphas)) == 1:
            g.mul_(along[0]).plus(v, across[0])
        else:
            g.mul_(along).add_(v, across)
        return unit_(g) if self.normalize else g

    def check_ready(self) -> None:
        """A first step needs an eigenvector that is not older than ``refresh_every``."""
        if self.due:
            raise InputError("the eigenvector is due; call refresh(closure) before first_step (attribute due)")

    def make_gradient(self, passes: Passes) -> Tensor:
        """As in the base class; a step that fails leaves the estimate as it was."""
        names = ("eigenvalue", "residual", "decay", "_refreshed_at")
        numbers = {name: getattr(self, name) for name in names}
        vectors = {p: self.state[p].get(_PER_PART) for p in self.parameters() if p in self.state}
        try:
            return super().make_gradient(passes)
        except BaseException:
            vars(self).update(numbers)
            for p in self.parameters():
                if p not in vectors:
                    self.state.pop(p, None)
                elif vectors[p] is not None:
                    self.state[p][_PER_PART] = vectors[p]
                else:
                    self.state[p].pop(_PER_PART, None)
            raise

    def prepare(self, passes: Passes) -> None:
        """Refresh the eigenvector if this step's turn has come."""
        if not any(self.perturbed()):
            return
        if self.due and (math.isnan(self.eigenvalue) or self.source != "stream"):
            self._refresh(self._whose(passes.closures), passes.function)
            passes.function.rewind()
        elif self.source == "stream" and self._share(self.steps) > self._share(self.steps - 1):
            self._stream(passes.closures, passes.function)
            passes.function.rewind()

    def _share(self, steps: int) -> int:
        """Products that a stream has made after so many steps: ``p`` in every ``k``."""
        return steps * self.iterations // self.refresh_every

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
        self.steps += 1  # after the step: one that failed is refreshed again

    def refresh(self, closure: Closure | Sequence[Closure]) -> None:
        """Estimate the eigenvector of the closure's Hessian at the current parameters.

        Args:
            closure: returns the loss and does not call ``backward``; several stand for their mean.
        """
        with self._between_steps() as function:
            self._refresh(_several(closure), function)

    def cosine(
        self, closure: Closure | Sequence[Closure], *, max_products: int = 100, tolerance: float = 1e-3
    ) -> float:
        """``|<v, v_1>|`` of the current estimate with the top eigenvector of the closure's Hessian, found by Lanczos.

        How good the estimate is at these parameters; it costs as many products as that takes, and changes nothing.

        Args:
            closure: as in :meth:`refresh`.
            max_products: most products to spend.
            tolerance: relative accuracy of the eigenvalue.

        Raises:
            InputError: no estimate yet, or the eigenvalue has not converged.
        """
        v = self.eigenvector
        if v is None:
            raise InputError("no eigenvector yet; take a step or call refresh(closure) first")
        with self._between_steps() as function, self._hessian(_several(closure), function) as (operator, _):
            pairs = lanczos(operator, max_products=max_products, tolerance=tolerance, seed=self.seed)
        if not pairs.converged:
            raise InputError(f"the top eigenvalue has not converged: {pairs.missing}; allow more than {max_products}")
        return abs(float(v @ pairs.vectors[0].to(v)))

    @contextmanager
    def _between_steps(self) -> Iterator[OneFunction]:
        """What is evaluated inside leaves random numbers and buffers to the next step."""
        self.check_idle()
        parameters = self.parameters()
        if not any(self.perturbed()):
            raise InputError("no parameter is perturbed, so there is no eigenvector to look for; give a group rho > 0")
        refuse_surroundings(self, parameters)
        with self.turn:
            self.know_buffers()
            function = OneFunction({p.device for p in parameters})
            try:
                yield function
            finally:
                function.rewind()

    def _whose(self, closures: Sequence[Closure]) -> Sequence[Closure]:
        """Those of the step, or others that were given."""
        return _several(self.curvature) if not isinstance(self.curvature, str) else closures

    def _refresh(self, closures: Sequence[Closure], function: OneFunction) -> None:
        old = self.eigenvector
        if old is not None and not old.any():
            old = None
        seed = self.seed + self.steps // self.refresh_every
        start = old
        if old is not None and self.guard > 0:
            # Drawn on the CPU, so that all workers and devices add the same vector.
            generator = torch.Generator().manual_seed(seed)
            drawn = torch.randn(len(old), generator=generator, dtype=torch.float32, device="cpu").to(old)
            start = old + self.guard / len(old) ** 0.5 * drawn
        found = self._estimated(closures, function, self.solver, self.iterations, start, seed)
        self.decay = math.nan if old is None else abs(float(old @ found.vector))
        self._keep(found)

    def _stream(self, closures: Sequence[Closure], function: OneFunction) -> None:
        v = self.eigenvector
        found = self._estimated(closures, function, "power", 1, v, self.seed)
        assert v is not None
        length = math.hypot(found.value, found.residual)  # of H v
        if abs(found.value) > 1e-12 * length:  # else H v outweighs v
            share = 1 / self.iterations
            hv = found.vector * length
            mixed = (1 - share) * v + share * hv / abs(found.value)
            norm = mixed.norm()
            # It vanishes for p = 2 where H v = -|lambda| v, and what rounding leaves is no direction.
            vanishes = norm <= 10 * torch.finfo(v.dtype).eps
            found = EigenvectorEstimate(v if vanishes else mixed / norm, found.value, found.residual)
        self.decay = abs(float(v @ found.vector))
        self._keep(found)

    def _estimated(
        self,
        closures: Sequence[Closure],
        function: OneFunction,
        solver: Eigensolver,
        products: int,
        start: Tensor | None,
        seed: int,
    ) -> EigenvectorEstimate:
        with self._hessian(closures, function) as (operator, group):
            return estimate(operator, solver, products, start, seed, group)

    @contextmanager
    def _hessian(self, closures: Sequence[Closure], function: OneFunction) -> Iterator[tuple[SymmetricOperator, Any]]:
        """Of what is minimised, and the processes that share it."""
        signs = set(self.signs() or [1.0])
        if len(signs) > 1:
            raise InputError("Eigen-SAM maximises or minimises; groups that do both have no common Hessian")
        with refreshing(self.parameters()) as replicas:
            shared = replicas if self.synchronised else []
            operator = hessian_of(closures, self.moving(), function, self._check, shared)
            group = shared[0].process_group if shared else None
            yield (negative(operator) if signs == {-1.0} else operator), group

    def _keep(self, found: EigenvectorEstimate) -> None:
        self.eigenvalue, self.residual, self._refreshed_at = found.value, found.residual, self.steps
        parameters = self.moving()
        for p, part in zip(parameters, Vector(parameters).views(found.vector).parts, strict=True):
            self.state[p][_PER_PART] = part.view_as(p).clone()  # aligned as a loaded one: sums have the same bits


def _several(closure: Closure | Sequence[Closure]) -> Sequence[Closure]:
    return [closure] if callable(closure) else list(closure)


def _sign(value: float) -> float:
    return float((value > 0) - (value < 0))
