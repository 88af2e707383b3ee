"""A recursion's step, corrector and SDE on a landscape where all are affine: as matrices that depend on time."""

import itertools
from functools import cached_property

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values
from ..rules.exact_steps import recursion_step
from ..rules.recursion import Recursion
from ..simulation.problems.coefficients import coefficients
from ..simulation.problems.shifted_start import shifted_start
from .affine_maps import affine_probes, check_polynomial, homogeneous
from .moment_flow import TimedMatrix

__all__ = ["RecursionMaps"]

_MOST_DIMENSIONS = 1000
_MOST_OUTCOMES = 4096


class RecursionMaps:
    """Everything that the moments of a recursion and of its SDE need.

    Args:
        sde: of a recursion.
        landscape: where its step is affine.
        rho: perturbation radius.
        epsilon: effective rate: the time of one step of training.
        horizon: the last time.
        values: of the rule's parameters and frozen directions.

    Raises:
        InputError: a landscape in single precision, or too many coordinates of the state.
    """

    def __init__(
        self, sde: SDE, landscape: Landscape, rho: float, epsilon: float, horizon: float, values: Values | None
    ) -> None:
        assert isinstance(sde.rule, Recursion)
        self.sde, self.landscape, self.recursion = sde, landscape, sde.rule
        self._rho, self.epsilon, self._horizon, self._values = rho, epsilon, horizon, values
        if landscape.dtype != torch.float64:
            raise InputError(f"the landscape is in {landscape.dtype}; moments need torch.float64: model.double()")
        if (n := landscape.dim * len(self.recursion.blocks)) > _MOST_DIMENSIONS:
            raise InputError(
                f"moments of {n} coordinates, those of {len(self.recursion.blocks)} blocks, are matrices of that size; "
                f"at most {_MOST_DIMENSIONS} are computed, give a smaller one"
            )
        outcomes = landscape.size ** max(1, len(self.recursion.draws))
        if outcomes > _MOST_OUTCOMES:
            raise InputError(
                f"a step of recursion '{self.recursion.name}' has {outcomes} outcomes, at most {_MOST_OUTCOMES} are "
                "listed; use fewer minibatches or draws"
            )
        check_polynomial(self.recursion)

    @property
    def _constant(self) -> bool:
        return not self.recursion.schedules

    @property
    def eta(self) -> float:
        """The learning rate."""
        return self.epsilon / float(self.sde.rate)

    @cached_property
    def steps(self) -> TimedMatrix:
        """``F_g`` with ``(z+, 1) = F_g (z, 1)`` for all outcomes of a step at a time."""
        return TimedMatrix(lambda t: self._step(self.eta, t), self._horizon, constant=self._constant)

    @cached_property
    def still(self) -> Tensor:
        """The mean of ``F_g`` at ``eta = 0`` and time 0: slow blocks stay where they are."""
        return self._step(0.0, 0.0).mean(0)

    def _step(self, eta: float, time: float) -> Tensor:
        recursion, d = self.recursion, self.landscape.dim
        probes = affine_probes(d * len(recursion.blocks), self.landscape)
        blocks = dict(zip(recursion.blocks, probes[:, None].split(d, -1), strict=True))
        after = recursion_step(self.landscape, recursion, blocks, eta, self._rho, self._values, time)
        found = torch.cat([after[name] for name in recursion.blocks], -1)
        size, draws = self.landscape.size, max(1, len(recursion.draws))
        outcomes = list(itertools.product(range(size), repeat=draws))
        kept = [i for i, each in enumerate(outcomes) if recursion.distinct is None or len(set(each)) == draws]
        return homogeneous(found.flatten(1, -2)[:, kept], probes, recursion.name, 1.0, moves=False)

    def slow(self, order: float) -> TimedMatrix:
        """The matrix to ``(y, 1)`` with ``y = z + eta chi(z, q)``, ``chi`` with the powers that an order needs."""
        return TimedMatrix(lambda t: self._corrected(order, t), self._horizon, constant=self._constant)

    @cached_property
    def position(self) -> Tensor:
        """The matrix to the slow blocks themselves."""
        d, recursion = self.landscape.dim, self.recursion
        rows = [recursion.blocks.index(name) * d + i for name in self.sde.blocks for i in range(d)]
        n = d * len(recursion.blocks)
        return torch.eye(n + 1, dtype=torch.float64, device=self.landscape.device)[[*rows, n]]

    def _corrected(self, order: float, time: float) -> Tensor:
        if order <= 1:
            return self.position
        recursion, d = self.recursion, self.landscape.dim
        probes = affine_probes(d * len(recursion.blocks), self.landscape)
        blocks = dict(zip(recursion.blocks, probes.split(d, -1), strict=True))
        found = shifted_start(
            self.sde,
            self.landscape,
            torch.cat([blocks[name] for name in self.sde.blocks], -1),
            self.eta,
            self._rho,
            memory={name: blocks[name] for name in self._fast},
            values=self._values,
            time=time,
        )
        return homogeneous(found[:, None], probes, recursion.name, 1.0, moves=False)[0]

    @property
    def _fast(self) -> list[str]:
        return [name for name in self.recursion.blocks if name not in self.sde.blocks]

    def flow(self, sde: SDE) -> tuple[TimedMatrix, TimedMatrix]:
        """Drift ``G`` and columns ``N_m`` of the noise of an SDE, as matrices on ``(x, 1)``."""
        d = self.landscape.dim * len(sde.blocks)
        probes = affine_probes(d, self.landscape)

        def at(time: float) -> Tensor:
            found = coefficients(self.landscape, sde, probes[:, None], self._rho, self._values, time=time)
            drift = found.drift(self.epsilon)[:, None]
            scale = float(drift.abs().max())
            return torch.cat(
                [homogeneous(each, probes, self.recursion.name, scale) for each in (drift, found.columns())]
            )

        both = TimedMatrix(at, self._horizon, constant=self._constant)
        return both.part(slice(0, 1)), both.part(slice(1, None))

    def rested(self, z: Tensor) -> Tensor:
        """The state ``(z, 1)`` with its fast blocks at the mean of their invariant law."""
        fast = self._fast_rows
        if not len(fast):
            return z
        held = z.clone()
        held[fast] = 0
        inner = self.still[fast][:, fast]
        held[fast] = torch.linalg.solve(torch.eye(len(fast)).to(inner) - inner, (self.still @ held)[fast])
        return held

    @cached_property
    def _fast_rows(self) -> Tensor:
        d, names = self.landscape.dim, self.recursion.blocks
        rows = [names.index(name) * d + i for name in self._fast for i in range(d)]
        return torch.tensor(rows, dtype=torch.long, device=self.landscape.device)

    @property
    def forgetting(self) -> float:
        """The largest factor by which a step multiplies the fast blocks' memory; 0 without any."""
        fast = self._fast_rows
        return float(torch.linalg.eigvals(self.still[fast][:, fast]).abs().max()) if len(fast) else 0.0
