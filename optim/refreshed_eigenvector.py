"""Methods that know the top eigenvector of the Hessian: estimated anew every ``k`` steps, kept in between."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ..ground.errors import InputError
from ..landscapes.curvature.closure_hessian import ClosureCheck
from ..landscapes.derivatives.one_function import OneFunction
from ..landscapes.spectra.lanczos_iteration import lanczos
from ..landscapes.spectra.lengths import length_of
from ..landscapes.spectra.operators import SymmetricOperator
from .data_parallel import from_first
from .eigenvector_estimate import Eigensolver, EigenvectorEstimate, estimate, hessian_of, negative, refreshing
from .passes import Closure, Passes
from .surroundings import refuse_surroundings
from .two_pass import TwoPassOptimizer
from .vector import Vector

__all__ = ["EigenvectorOptimizer"]

_PER_PART = "eigenvector"


class EigenvectorOptimizer(TwoPassOptimizer):
    """A method with two passes and a unit eigenvector ``v``, over all parameters that are perturbed.

    A *refresh* takes place at steps 1, k + 1, 2k + 1, ... and starts from the previous eigenvector; it costs one
    gradient and ``p`` Hessian-vector products. In a loop that calls ``first_step``, call :meth:`refresh` where
    :attr:`due` says so.

    Under ``DistributedDataParallel`` all workers estimate one eigenvector, that of their joint minibatch, and average
    each product for it. Sharded models (FSDP2), which cannot be differentiated twice, are refused.

    A method that counts its own steps calls ``super().finish()``.

    Args:
        params: parameters or parameter groups, on one device.
        base: class of the optimizer that takes the step.
        rho: perturbation radius, at least 0.
        groups: further settings that every parameter group may have its own of.
        refresh_every: ``k >= 1``.
        iterations: ``p >= 1`` products per refresh.
        solver: ``lanczos`` for the largest eigenvalue; ``power`` for the one of largest magnitude, less accurately.
        curvature: whose Hessian: ``minibatch``, the step's own; ``stream``, that of past minibatches, ``p`` products
            in ``k`` steps but at most one in each, ``v <- (1 - 1/p) v + H v/(p |lambda|)`` (Oja); or a closure, or
            several, of a larger batch.
        guard: length of a random vector that is added to the previous eigenvector at a refresh. Without one an
            eigenvector that has been overtaken by another would stay.
        seed: of what is drawn; of workers that share an eigenvector the first one's counts.
        check: whether the first refresh compares its Hessian products with differences of gradients, see
            :class:`ClosureHessian`; products that are wrong are then taken from differences.
        synchronised: whether workers of ``DistributedDataParallel`` share one eigenvector, bit for bit.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``.

    Attributes:
        eigenvalue: Rayleigh quotient of the eigenvector at the last refresh.
        residual: ``|H v - eigenvalue v|`` there.
        decay: ``|<v_old, v_new>|`` at the last refresh: how well the estimate had kept.
        steps: taken so far.
        checked: whether and how the products of refreshes were checked.

    Raises:
        InputError: an argument out of range; a Hessian-vector product that is not finite.
    """

    kept_settings: ClassVar[tuple[str, ...]] = ("source", "refresh_every", "iterations", "solver", "guard", "seed")
    kept_numbers = ("steps", "eigenvalue", "residual", "alignment", "decay", "_refreshed_at")
    kept_tensors = (_PER_PART,)

    in_range: ClassVar[bool] = False
    """Whether the eigenvector is a product with the Hessian, at the cost of one more of them in a refresh by Lanczos.

    Else it has entries that its random start has left, where the Hessian is zero: of parameters that no pass uses, of
    rows that nobody looks up. A perturbation may have them, a step may not.
    """

    alignment = math.nan

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        groups: Mapping[str, Any] = MappingProxyType({}),
        refresh_every: int = 100,
        iterations: int = 5,
        solver: Eigensolver = "lanczos",
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
        super().__init__(params, base, rho=rho, groups=groups, **options)
        self.refresh_every, self.iterations, self.solver = int(refresh_every), int(iterations), solver
        self.curvature, self.guard, self.seed = curvature, float(guard), int(seed)
        self.synchronised = synchronised
        self._check = ClosureCheck(check)
        self.steps = 0
        self.eigenvalue = self.residual = self.decay = math.nan
        self._refreshed_at = -1

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
        return self.eigenvector_parts().flat()

    def eigenvector_parts(self) -> Vector:
        """The same as tensors; zero for parameters that have been added, or unfrozen, since the last refresh."""
        return Vector(
            self.state[p][_PER_PART] if _PER_PART in self.state.get(p, {}) else torch.zeros_like(p)
            for p in self.moving()
        )

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

    def finish(self) -> None:
        """Count the step."""
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
            norm = length_of(mixed)
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
            found = estimate(operator, solver, products, start, seed, group)
            if not self.in_range or solver == "power":  # whose vector is one
                return found
            product = operator @ found.vector
            norm = length_of(product)
            vector = product / norm if norm > 0 else found.vector
            vector = vector if group is None else from_first(vector.contiguous(), group)
            return EigenvectorEstimate(vector, found.value, found.residual)

    @contextmanager
    def _hessian(self, closures: Sequence[Closure], function: OneFunction) -> Iterator[tuple[SymmetricOperator, Any]]:
        """Of what is minimised, and the processes that share it."""
        signs = set(self.signs() or [1.0])
        if len(signs) > 1:
            raise InputError(
                f"{type(self).__name__} maximises or minimises; groups that do both have no common Hessian"
            )
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
