"""Moments of a recursion and of its SDE, exactly, where all steps are affine.

What follows the SDE is the slow variable ``y = x + eta chi(x, q)`` of the slow blocks ``x`` and the fast blocks ``q``,
and the SDE starts at ``y_0``. With memory at 0, ``x`` itself has an initial layer: over all steps it is of order 1
only, after ``O(log 1/eta)`` steps, or from memory at the mean of its invariant law, of the full one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values
from ..rules.recursion import Recursion
from ..rules.sampling import GivenOrder
from .chain_laws import chain_law, chain_moments
from .claim import step_count
from .evidence import observed_slopes
from .moment_flow import MomentFlow, TimedMatrix
from .recursion_maps import RecursionMaps

__all__ = ["InitialLayer", "RecursionMoments", "inside_order", "moment_sizes", "recursion_etas"]

_TIMES = 8  # ours: at which errors are compared, equally spaced
_EXPONENTS = range(4, 14, 2)
_LARGEST_LAYER, _LONGEST_LAYER = 100, 2**13  # coordinates of the state, and steps: beyond, all steps take too long


def moment_sizes(difference: Tensor) -> Tensor:
    """The largest error over ``phi = a . x`` and ``phi = x . Q x`` with ``|a| = 1`` and nuclear norm of ``Q`` 1.

    Args:
        difference: of ``E y y^T`` with ``y = (x, 1)``, shape ``(..., d + 1, d + 1)``.
    """
    first = torch.linalg.vector_norm(difference[..., :-1, -1], dim=-1)
    second = torch.linalg.matrix_norm(difference[..., :-1, :-1], ord=2)
    return torch.maximum(first, second)


def recursion_etas(sde: SDE, horizon: float) -> list[float]:
    """Effective rates ``2^-4 .. 2^-12``; smaller with long memory, whose constants are large.

    They are divided by 3, 5, ... where epochs have such numbers of steps.

    Example:
        >>> from eigensam.sde import derive
        >>> from eigensam.sde.rules.sampling import Reshuffled
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> sgd = Recursion("sgd", parse_statements("x = x - eta*g"), sampling=Reshuffled(3))
        >>> [round(1 / eta) for eta in recursion_etas(derive(sgd, 1, 1), 1.0)]
        [24, 96, 384, 1536, 6144]
    """
    recursion = sde.rule
    assert isinstance(recursion, Recursion)
    block = recursion.sampling.epoch * recursion.inner_steps
    odd = block
    while odd % 2 == 0:
        odd //= 2
    finer = 2 * math.floor(math.log(max(1.0, float(sde.rate)), 4)) - math.floor(math.log2(odd))
    found = [2.0 ** -(k + finer) / odd for k in _EXPONENTS]
    return [eta for eta in found if (horizon / eta / block).is_integer()] or [horizon / block / 4**k for k in range(5)]


@dataclass(frozen=True)
class InitialLayer:
    """Errors over all steps, or all epoch ends, at each step size.

    Attributes:
        etas: effective rates.
        slow_variable: of ``y = x + eta chi``.
        position: of ``x``, from memory at 0.
        after_layer: of ``x`` from the step on that :attr:`steps` counts; NaN where there are fewer.
        from_mean: of ``x``, from memory at the mean of its invariant law.
        steps: ``p log(1/eta) / log(1/factor)``, after which memory of the start is below ``eta^p``.
    """

    etas: list[float]
    slow_variable: list[float]
    position: list[float]
    after_layer: list[float]
    from_mean: list[float]
    steps: list[int]

    def to_dict(self) -> dict[str, Any]:
        """Errors and their slopes for JSON; None where there is no such number."""
        names = ("slow_variable", "position", "after_layer", "from_mean")
        errors = {name: getattr(self, name) for name in names}
        slopes = {name: observed_slopes(self.etas, each) for name, each in errors.items()}
        written = {
            kind: {name: [None if math.isnan(x) else x for x in each] for name, each in found.items()}
            for kind, found in (("errors", errors), ("slopes", slopes))
        }
        return {"etas": self.etas, "steps": self.steps, **written}


@dataclass
class RecursionMoments:
    """A recursion and a horizon, whose moments are computed at step sizes and for SDEs that are asked for.

    Args:
        sde: of the recursion.
        landscape: where its steps are affine.
        start: of shape ``(d,)``, with memory at 0, or all blocks of the state one after the other; None: ones.
        horizon: the last time.
        order: whose powers of ``rho`` the slow variable has.
        values: of the rule's parameters and frozen directions.
        inside: whether to compare at all steps of an epoch, not at epoch ends alone.
        shifted: whether the SDE starts at ``x_0 + eta chi``; False is wrong on purpose.

    Raises:
        InputError: a start of another shape; minibatches that the landscape does not have.
    """

    sde: SDE
    landscape: Landscape
    start: Any
    horizon: float
    order: float
    values: Values | None = None
    inside: bool = False
    shifted: bool = True
    _chains: dict[tuple[float, float, int], Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recursion, d = self.recursion, self.landscape.dim
        n = d * len(recursion.blocks)
        given = torch.ones(d) if self.start is None else self.start
        x = torch.as_tensor(given, dtype=torch.float64, device=self.landscape.device)
        if x.shape not in ((d,), (n,)) or not bool(x.isfinite().all()):
            every = f", or ({n},) for the blocks {', '.join(recursion.blocks)}" if n > d else ""
            raise InputError(f"start has shape {tuple(x.shape)}; expected ({d},) finite numbers{every}")
        self._z = torch.cat([x, x.new_zeros(n - len(x)), x.new_ones(1)])
        chain_law(recursion, self._z, self.landscape.size)  # refuses a family of another size

    @property
    def recursion(self) -> Recursion:
        """Whose moments."""
        assert isinstance(self.sde.rule, Recursion)
        return self.sde.rule

    @property
    def _block(self) -> int:
        """Steps of training until the law begins anew."""
        return self.recursion.sampling.epoch * self.recursion.inner_steps

    def check_step(self, eta: float) -> None:
        """Refuse an effective rate whose steps are no whole number of epochs.

        Raises:
            InputError: with the number that would do.
        """
        steps = step_count(self.horizon, eta)
        if steps % self._block:
            epoch, inner = self.recursion.sampling.epoch, self.recursion.inner_steps
            what = f"epochs of {epoch} steps" if inner == 1 else f"cycles of {inner} inner steps"
            near = max(1, round(steps / self._block)) * self._block
            raise InputError(
                f"T/eta = {steps} steps are no whole number of {what}; give step sizes such as "
                f"{self.horizon:g}/{near}, or another horizon"
            )

    def times(self, etas: Sequence[float]) -> int:
        """How many equally spaced times all step sizes reach by whole epochs: at most 8."""
        counts = [step_count(self.horizon, eta) // self._block for eta in etas]
        return next(count for count in range(_TIMES, 0, -1) if all(each % count == 0 for each in counts))

    def maps(self, eta: float, rho: float) -> RecursionMaps:
        """At an effective rate."""
        return RecursionMaps(self.sde, self.landscape, rho, eta, self.horizon, self.values)

    def _indices(self, eta: float, times: int) -> list[int]:
        """Steps of the recursion at which moments are compared."""
        total = step_count(self.horizon, eta) // self.recursion.inner_steps
        apart, epoch = total // times, self.recursion.sampling.epoch
        if not self.inside:
            return [apart * (k + 1) for k in range(times)]
        return [apart * (k + 1) - epoch + j + 1 for k in range(times) for j in range(epoch)]

    def chain(self, eta: float, rho: float, times: int) -> Tensor:
        """Moments of the slow variable, shape ``(times, d + 1, d + 1)``; all of the last epochs if ``inside``."""
        key = (eta, rho, times)
        if key not in self._chains:
            wanted = self._indices(eta, times)
            maps = self.maps(eta, rho)
            found = [_picked(begin, z, wanted) for begin, z in self._walked(maps, self._z)]
            self._chains[key] = self._seen(maps.slow(self.order), torch.cat(found), wanted, eta)
        return self._chains[key]

    def solution(self, sde: SDE, eta: float, rho: float, times: int) -> Tensor:
        """The same of an SDE, which need not be the right one."""
        wanted = self._indices(eta, times)
        maps = self.maps(eta, rho)
        slow = maps.slow(self.order).first if self.shifted else maps.position
        return self._flow(maps, sde, slow @ self._z).at([k * self._step_time(eta) for k in wanted])

    def _step_time(self, eta: float) -> float:
        return eta * self.recursion.inner_steps

    def _walked(self, maps: RecursionMaps, start: Tensor) -> Iterator[tuple[int, Tensor]]:
        law = chain_law(self.recursion, start, self.landscape.size)
        step = self._step_time(maps.epsilon)
        for begin, z in chain_moments(law, maps.steps, step, round(self.horizon / step)):
            if not bool(z[-1].isfinite().all()):
                raise InputError(
                    f"moments overflow at eta = {maps.epsilon:g}: the recursion is unstable here; use smaller step "
                    "sizes"
                )
            yield begin, z

    def _flow(self, maps: RecursionMaps, sde: SDE, y: Tensor) -> MomentFlow:
        drift, columns = maps.flow(sde)
        return MomentFlow(drift, columns, maps.epsilon, torch.outer(y, y), self.horizon)

    def _seen(self, slow: TimedMatrix, z: Tensor, indices: Sequence[int], eta: float) -> Tensor:
        at = slow.at([k * self._step_time(eta) for k in indices])
        return at @ z @ at.mT

    def initial_layer(self, etas: Sequence[float], rhos: Sequence[float]) -> InitialLayer | None:
        """Errors over all steps; None where the state is too large for that, or nothing is fast.

        Step sizes with more than 8192 steps are left out.
        """
        small = self.landscape.dim * len(self.recursion.blocks) <= _LARGEST_LAYER
        if not small or len(self.sde.blocks) == len(self.recursion.blocks) or self.order <= 1:
            return None
        pairs = zip(etas, rhos, strict=True)
        kept = [(eta, rho) for eta, rho in pairs if self.horizon / self._step_time(eta) <= _LONGEST_LAYER]
        if len(kept) < 2:
            return None
        slow, position, after, mean, steps = zip(*(self._layer(eta, rho) for eta, rho in kept), strict=True)
        used = [eta for eta, _ in kept]
        return InitialLayer(used, list(slow), list(position), list(after), list(mean), list(steps))

    def _layer(self, eta: float, rho: float) -> tuple[float, float, float, float, int]:
        maps = self.maps(eta, rho)
        slow, position = maps.slow(self.order), TimedMatrix(lambda t: maps.position, self.horizon, constant=True)
        factor = maps.forgetting
        long = self.order * math.log(1 / eta) / math.log(1 / factor) if 0 < factor < 1 else 1.0
        forgotten = math.ceil(long)
        flow = self._flow(maps, self.sde, slow.first @ self._z)
        rested = maps.rested(self._z)
        flow_of_mean = self._flow(maps, self.sde, slow.first @ rested)
        y = x = mean = 0.0
        after = math.nan
        for begin, z in self._walked(maps, self._z):
            indices, z = self._compared(begin, z)
            truth = flow.at([k * self._step_time(eta) for k in indices])
            late = [i for i, k in enumerate(indices) if k >= forgotten]
            errors = moment_sizes(self._seen(position, z, indices, eta) - truth)
            y = max(y, float(moment_sizes(self._seen(slow, z, indices, eta) - truth).max()))
            x = max(x, float(errors.max()))
            after = max([*errors[late].tolist(), *([] if math.isnan(after) else [after])], default=math.nan)
        for begin, z in self._walked(maps, rested):
            indices, z = self._compared(begin, z)
            truth = flow_of_mean.at([k * self._step_time(eta) for k in indices])
            mean = max(mean, float(moment_sizes(self._seen(position, z, indices, eta) - truth).max()))
        return y, x, after, mean, forgotten

    def _compared(self, begin: int, z: Tensor) -> tuple[list[int], Tensor]:
        """All steps, or epoch ends."""
        epoch = self.recursion.sampling.epoch
        indices = range(begin, begin + len(z))
        if self.inside or epoch == 1:
            return list(indices), z
        return list(indices)[epoch - 1 :: epoch], z[epoch - 1 :: epoch]


def inside_order(sde: SDE) -> float | None:
    """The order inside epochs, where it is less than at their ends."""
    ordered = isinstance(sde.rule, Recursion) and isinstance(sde.rule.sampling, GivenOrder)
    return min(1.0, float(sde.weak_order)) if ordered else None


def _picked(begin: int, z: Tensor, wanted: Sequence[int]) -> Tensor:
    return z[[k - begin for k in wanted if begin <= k < begin + len(z)]]
