"""Drift and noise of an SDE at several points of a landscape, as sums over its minibatches.

``dX = (E h + eta b_1) dt + sqrt(eta) Sigma^{1/2} dW`` needs two vectors at each point: the mean of the increments
``h_m``, and ``M^{-1/2} sum_m z_m (h_m - E h)``, whose covariance is exactly ``Sigma`` where the ``z_m`` are standard
normal (theory, section 5). Both are weighted sums of the same minibatch vectors, so they are made in one pass over the
minibatches, chunk by chunk; neither ``Sigma`` nor all vectors at once are in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple, final

from torch import Tensor

from ....landscapes.landscape import Landscape
from ....landscapes.networks.network import NetworkLandscape
from ...derivation.compiled_code import compile_torch_code
from ...derivation.derived_sde import SDE
from ...derivation.torch_code import torch_code
from ...rules.exact_steps import evaluate
from ...rules.nodes import Mean
from ...rules.recursion import Recursion
from ...rules.rule import Rule
from ...rules.traversal import walk
from ..problems.coefficients import bound_coefficients, schedule_values

__all__ = ["BoundValues", "ExactField", "MinibatchField", "SDEField", "averages_minibatches", "points_at_a_time"]

BoundValues = Mapping[str, float | Tensor]
"""What :func:`bind` gives; a direction may have a vector for each point and minibatch, shape ``(P, 1 or M, d)``."""

_BYTES = 2**26  # ours: of the vectors that are in memory at a time; more are slower, as they leave the caches
_VECTORS = 4  # for each point and minibatch: gradient, perturbation, increment, and what adds them up


class _Parts(NamedTuple):
    """At points ``(P, 1, d)``, of some minibatches; None for what was not asked for, or is 0.

    Attributes:
        increments: ``h_m``, shape ``(P, m, d)``.
        correction: ``b_1``, shape ``(P, d)``.
        noise: increments of the noise, shape ``(P, m, d)``; the same tensor where they are those of the drift.
    """

    increments: Tensor | None
    correction: Tensor | None
    noise: Tensor | None


class MinibatchField(ABC):
    """Drift and noise at ``P`` points.

    Args:
        landscape: the family of ``M`` losses.
        eta: the learning rate, factor of the correction; of a recursion its effective rate.
    """

    def __init__(self, landscape: Landscape, eta: float) -> None:
        self.landscape, self.eta = landscape, eta

    @property
    @abstractmethod
    def averages(self) -> bool:
        """Whether an increment depends on other minibatches than its own, so that all are needed at once."""

    @property
    @abstractmethod
    def has_noise(self) -> bool:
        """False for an ODE."""

    def scheduled(self, time: float) -> BoundValues:
        """The values of schedules at a time; none where nothing depends on it."""
        return {}

    @property
    def timed(self) -> bool:
        """Whether drift and noise depend on time."""
        return False

    @abstractmethod
    def _parts(self, f: Landscape, x: Tensor, values: BoundValues, *, drift: bool, noise: bool) -> _Parts:
        """What is asked for, of the minibatches of ``f``."""

    @final
    def drift(self, x: Tensor, values: BoundValues) -> Tensor:
        """``E h + eta b_1`` at points of shape ``(P, d)``."""
        return self._sums(x, None, values, drift=True)[:, 0]

    @final
    def kick(self, x: Tensor, z: Tensor, values: BoundValues) -> Tensor:
        """``M^{-1/2} sum_m z_m (h_m - E h)``, shape ``(P, d)``, for normal numbers of shape ``(P, M)``."""
        return self._sums(x, z, values, drift=False)[:, 1]

    @final
    def drift_and_kick(self, x: Tensor, z: Tensor, values: BoundValues) -> tuple[Tensor, Tensor]:
        """Both, of the same minibatch vectors where drift and noise keep the same powers of ``rho``."""
        drift, kick = self._sums(x, z, values, drift=True).unbind(1)
        return drift, kick

    def _sums(self, x: Tensor, z: Tensor | None, values: BoundValues, *, drift: bool) -> Tensor:
        """Drift and kick, shape ``(P, 2, d)``; 0 for what is not asked for."""
        size, result = self.landscape.size, x.new_zeros(len(x), 2, x.shape[-1])
        # sum_m z_m (h_m - E h) = sum_m (z_m - mean z) h_m, so the mean need not be known before.
        weights = x.new_full((len(x), 2, size), 1 / size)
        if z is not None:
            weights[:, 1] = ((z - z.mean(-1, keepdim=True)) / size**0.5).to(x.dtype)
        for rows in self._points(len(x)):
            known = {name: _rows(value, rows, len(x)) for name, value in values.items()}
            total, points = result[rows], x[rows]
            for f, chunk in self._chunks(len(points)):
                here = {name: _columns(value, chunk) for name, value in known.items()}
                found = self._parts(f, points[:, None], here, drift=drift, noise=z is not None)
                w = weights[rows, :, chunk]
                if found.increments is not None and found.noise is found.increments:
                    total += w @ found.increments
                else:
                    for i, vectors in enumerate((found.increments, found.noise)):
                        if vectors is not None:
                            total[:, i : i + 1] += w[:, i : i + 1] @ vectors
                if found.correction is not None:  # then there is one chunk
                    total[:, 0] += self.eta * found.correction
        return result

    @cached_property
    def _at_a_time(self) -> int:
        """Pairs of a point and a minibatch whose vectors are in memory at a time."""
        return _pairs_at_a_time(self.landscape)

    def _points(self, count: int) -> Iterator[slice]:
        """Points in parts that fit memory."""
        size = points_at_a_time(self.landscape)
        for first in range(0, count, size):
            yield slice(first, min(first + size, count))

    def _chunks(self, points: int) -> Iterator[tuple[Landscape, slice]]:
        """Minibatches in chunks that fit memory; all at once where an increment averages over them."""
        f, size = self.landscape, max(1, self._at_a_time // points)
        if self.averages or size >= f.size or not isinstance(f, NetworkLandscape):
            yield f, slice(0, f.size)
            return
        size -= size % f.points_per_pass if size > f.points_per_pass else 0  # whole passes
        for first in range(0, f.size, size):
            chunk = slice(first, min(first + size, f.size))
            yield f.subset(range(chunk.start, chunk.stop)), chunk


class SDEField(MinibatchField):
    """Of a derived or truncated SDE.

    Args:
        landscape: the family of losses.
        sde: from :func:`derive` or :func:`truncate`, of the position alone.
        eta: learning rate; of a recursion its effective rate.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import find_rule, truncate
        >>> f = Quadratic([[2.0]], centres=[[0.0], [1.0]])
        >>> field = SDEField(f, truncate(find_rule("sgd"), 1, 1), eta=0.1)
        >>> x, z = torch.ones(1, 1, dtype=torch.float64), torch.tensor([[1.0, -1.0]], dtype=torch.float64)
        >>> [round(part.item(), 6) for part in field.drift_and_kick(x, z, {"rho": 0.0})]  # increments -2 and 0
        [-1.0, -1.414214]
    """

    def __init__(self, landscape: Landscape, sde: SDE, eta: float) -> None:
        super().__init__(landscape, eta)
        self.sde = sde
        self._code = {
            (True, True): compile_torch_code(sde),
            (True, False): compile_torch_code(replace(sde, covariance={})),
            (False, True): compile_torch_code(replace(sde, increments={}, correction={})),
        }

    @cached_property
    def averages(self) -> bool:
        """Whether the generated code takes a mean over minibatches."""
        code = torch_code(self.sde)
        return bool(self.sde.ordered) or ".mean(" in code or "contracted_gradient(" in code

    @property
    def has_noise(self) -> bool:
        """Whether the SDE has a covariance."""
        return bool(self.sde.covariance)

    def scheduled(self, time: float) -> BoundValues:
        """Schedules and their derivatives, by the names that the SDE's terms have for them."""
        return schedule_values(self.sde, time)

    @property
    def timed(self) -> bool:
        """Whether the recursion has schedules."""
        return isinstance(self.sde.rule, Recursion) and bool(self.sde.rule.schedules)

    def _parts(self, f: Landscape, x: Tensor, values: BoundValues, *, drift: bool, noise: bool) -> _Parts:
        noise = noise and self.has_noise
        if self.sde.ordered and drift:  # what pairs of minibatches add; there is no noise
            found = bound_coefficients(f, self.sde, x, float(values["rho"]), values)
            return _Parts(found.increments, found.correction, None)
        increments, correction, kicks = self._code[drift, noise](f, x, float(values["rho"]), values)
        shape, same = (len(x), f.size, f.dim), kicks is increments
        increments = increments.expand(shape)
        return _Parts(
            increments if drift else None,
            correction.expand(len(x), 1, f.dim).squeeze(1) if drift and self.sde.correction else None,
            (increments if same else kicks.expand(shape)) if noise else None,
        )


class ExactField(MinibatchField):
    """Of the rule's own increments, nothing truncated: what is left of its distance to the rule is the step size's.

    Args:
        landscape: the family of losses.
        rule: the update rule.
        eta: learning rate.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import find_rule
        >>> f = Quadratic([[2.0]], centres=[[0.0]])
        >>> ExactField(f, find_rule("sam"), 0.1).drift(torch.ones(1, 1, dtype=torch.float64), {"rho": 0.5}).tolist()
        [[-3.0]]
    """

    has_noise = True

    def __init__(self, landscape: Landscape, rule: Rule, eta: float) -> None:
        super().__init__(landscape, eta)
        self.rule = rule

    @cached_property
    def averages(self) -> bool:
        """Whether the rule contains an expectation."""
        return averages_minibatches(self.rule)

    def _parts(self, f: Landscape, x: Tensor, values: BoundValues, *, drift: bool, noise: bool) -> _Parts:
        found = -evaluate(self.rule.step, f, x, values).expand(len(x), f.size, f.dim)
        return _Parts(found, None, found)


def averages_minibatches(rule: Rule | Recursion) -> bool:
    """Whether a minibatch's step depends on the others, as DNSAM's does by the norm of the mean gradient.

    Example:
        >>> from eigensam.sde import find_rule
        >>> averages_minibatches(find_rule("sam")), averages_minibatches(find_rule("dnsam"))
        (False, True)
    """
    values = rule.new_values.values() if isinstance(rule, Recursion) else [rule.step]
    return any(isinstance(node, Mean) for value in values for node in walk(value))


def points_at_a_time(landscape: Landscape) -> int:
    """How many points, with the vectors of all minibatches at each, are in memory at a time: 1 at least.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> points_at_a_time(Quadratic([[2.0]], centres=[[0.0], [1.0]]))
        1048576
    """
    return max(1, _pairs_at_a_time(landscape) // landscape.size)


def _pairs_at_a_time(landscape: Landscape) -> int:
    return max(1, _BYTES // (_VECTORS * landscape.dim * landscape.dtype.itemsize))


def _rows(value: float | Tensor, rows: slice, points: int) -> float | Tensor:
    """Directions of some points; what is the same everywhere stays."""
    return value[rows] if isinstance(value, Tensor) and value.ndim == 3 and len(value) == points else value


def _columns(value: float | Tensor, chunk: slice) -> float | Tensor:
    """Directions of some minibatches; what is the same for all stays."""
    return value[:, chunk] if isinstance(value, Tensor) and value.ndim == 3 and value.shape[1] > 1 else value
