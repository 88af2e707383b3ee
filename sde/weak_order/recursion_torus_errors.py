"""Weak errors of a recursion's SDE on a tilted torus, in the slow variable, by step size and grid.

From ``(x_0, q_0)`` the recursion's ``E phi(y_k)`` of the slow variable ``y = x + eta chi(x, q)`` is ``P^k`` applied to
the function ``phi(x + eta chi(x, q))`` of position and memory, a matrix on a grid; the SDE's is
``(e^{k eps L} phi)(y_0)``. In ``y`` the right SDE has its order at all times; in ``x`` the first steps of memory leave
an error of order 1, the initial layer, which is measured besides.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.analytic.torus import TiltedTorus
from ..derivation.derived_sde import SDE
from ..rules.bindings import bind
from ..rules.exact_steps import recursion_step
from ..rules.leaves import POSITION
from ..rules.recursion import Recursion
from ..simulation.problems.coefficients import coefficients
from .claim import Claim, TestFunctions
from .memory_box import MEAN, MemoryBox, check_step_periodic, memory_box
from .memory_grid import MemoryGrid
from .needed_terms import Term
from .over_time import OverTime, Product, backwards
from .own_coefficients import CoefficientFunction
from .recursion_draws import Blocks, after_period, period_of
from .recursion_moments import InitialLayer
from .slow_variable import Moment, SlowVariable
from .torus_errors import Compared
from .torus_grid import TorusGrid

__all__ = ["RecursionTorus", "Resolution"]

_START_POINTS = {1: 31, 2: 11}  # per axis
_LAYER_POINTS = 15  # positions from which the initial layer is measured
_MOST_ROUNDS, _ROUNDING = 10_000, 1e-13
_LAYER = 2.0  # powers of the step size to which memory of the start has faded after the layer


class Resolution(NamedTuple):
    """Points per axis of the position, and of each block of memory."""

    position: int
    memory: int


class RecursionTorus:
    """Weak errors of claims about one recursion.

    Args:
        claim: whose step sizes are effective rates.
        landscape: in one dimension, or two for a recursion without fast memory.
        times: at which chain and SDE are compared.
        test_functions: periodic.
        own: coefficients of one's own, or None.
        shifted: whether the SDE starts at ``x_0 + eta chi(x_0, q_0)``, as it must, or at ``x_0``.

    Raises:
        InputError: a step that is not periodic; slow memory; memory of more blocks than a grid holds.
    """

    def __init__(
        self,
        claim: Claim,
        landscape: TiltedTorus,
        times: list[float],
        test_functions: TestFunctions,
        own: CoefficientFunction | None = None,
        *,
        shifted: bool = True,
    ) -> None:
        recursion = claim.sde.rule
        assert isinstance(recursion, Recursion)
        self.claim, self.landscape, self.recursion, self.times = claim, landscape, recursion, times
        self.test_functions, self._own, self.shifted = test_functions, own, shifted
        bound = bind(recursion, landscape, claim.rho_scale, claim.values)
        self.variable = SlowVariable(claim.sde, landscape, bound, "numpy")
        self.rate = float(claim.sde.rate)
        self.period = period_of(recursion, landscape.size)
        self.length = self.period.steps * recursion.inner_steps
        self.fast = self.variable.fast
        moments = (0.0, times[-1] / 2, times[-1]) if recursion.schedules else (0.0,)
        extremes = [self._at(claim, eta, t) for eta in (claim.etas[0], claim.etas[-1]) for t in moments]
        check_step_periodic(recursion, landscape.dim, extremes[0])
        self.box: MemoryBox = memory_box(recursion, self.fast, landscape.dim, extremes)
        points = TorusGrid(landscape.dim, _START_POINTS[landscape.dim]).points
        count = len(self.box.starts)
        self.start_x = points.repeat_interleave(count, 0)
        self.start_memory = self.box.starts.repeat(len(points), 1)
        which = torch.arange(len(self.start_x)) % count
        self.groups: list[Any] = [slice(None), (which == MEAN).numpy()] if self.fast else [slice(None)]
        """Starts whose errors are evidence of their own: all, and those from the mean, with the smallest constants."""

    def _at(self, law: Claim, eta: float, time: float) -> Callable[[Blocks], dict[str, Tensor]]:
        def step(blocks: Blocks) -> dict[str, Tensor]:
            spread = {name: block[:, None] for name, block in blocks.items()}
            found = recursion_step(
                self.landscape, self.recursion, spread, eta / self.rate, law.rho(eta), law.values, time
            )
            return {name: block.reshape(len(block), -1, self.landscape.dim) for name, block in found.items()}

        return step

    def grid(self, resolution: Resolution) -> MemoryGrid:
        """Of position and memory."""
        return MemoryGrid(self.landscape.dim, resolution.position, self.box.intervals, resolution.memory)

    def transition(
        self, law: Claim, eta: float, grid: MemoryGrid, sequences: Sequence[tuple[int, ...]]
    ) -> Callable[[float], Tensor]:
        """The operator of one period that begins at a time, a matrix."""

        def matrix(time: float) -> Tensor:
            def step(blocks: Blocks, j: int) -> Mapping[str, Tensor]:
                return self._at(law, eta, time + j * self.recursion.inner_steps * eta)(blocks)

            start = {POSITION: grid.x} | self._named(grid.memory)
            total = torch.zeros(len(grid), len(grid), dtype=torch.float64)
            for end in after_period(step, start, sequences):
                memory = torch.cat([end[name] for name in self.fast], 1) if self.fast else grid.memory
                total += grid.weights(end[POSITION], memory)
            return total / len(sequences)

        return matrix

    def _named(self, memory: Tensor) -> dict[str, Tensor]:
        return {name: memory[:, i : i + 1] for i, name in enumerate(self.fast)}

    def slow(self, law: Claim, eta: float, time: float, x: Tensor, memory: Tensor) -> Tensor:
        """``y = x + eta chi(x, q)``, shape ``(P, d)``."""
        if not self.fast:
            return x
        blocks = {name: [c.numpy() for c in block.unbind(1)] for name, block in self._named(memory).items()}
        blocks[POSITION] = [c.numpy() for c in x.unbind(1)]
        chi = self.variable.corrector(blocks, Moment(law.rho(eta), time))[POSITION]
        columns = [torch.from_numpy(np.broadcast_to(np.asarray(c, dtype=float), (len(x),)).copy()) for c in chi]
        return x + eta / self.rate * torch.stack(columns, 1)

    def compared(self, law: Claim, eta: float, resolution: Resolution) -> Compared:
        """Chain and SDE from positions and memory that do not depend on the grid."""
        grid = self.grid(resolution)
        starts = grid.weights(self.start_x, self.start_memory)
        chains = []
        for sequences in self.period.worlds:
            matrix = self.transition(law, eta, grid, sequences)
            ends = [self.test_functions(self.slow(law, eta, t, grid.x, grid.memory)) for t in self.times]
            chains.append(torch.stack([starts @ found for found in self._chained(matrix, ends, eta)]))
        chain = torch.stack(chains).mean(0)
        solution = self.solution(law, law.sde, eta, resolution.position)
        return Compared(chain.numpy(), (chain - solution).numpy())

    def _chained(self, matrix: Callable[[float], Tensor], ends: list[Tensor], eta: float) -> list[Tensor]:
        """Functions at all times, taken back to time 0."""
        counts = [round(t / (self.length * eta)) for t in self.times]
        if not self.recursion.schedules:
            power = torch.linalg.matrix_power(matrix(0.0), counts[0])  # times are equally far apart
            found = []
            for j, end in enumerate(ends):
                for _ in range(j + 1):
                    end = power @ end
                found.append(end)
            return found
        product = Product(matrix, self.length * eta, self.times[-1])
        state = ends[-1][:, :0]
        for before, count, end in reversed(list(zip([0, *counts], counts, ends, strict=False))):
            state = product.applied(torch.cat([end, state], 1), before * self.length * eta, count - before)
        return list(state.unflatten(1, (len(ends), -1)).unbind(1))

    def solution(self, law: Claim, sde: SDE, eta: float, resolution: int) -> Tensor:
        """The SDE's expectations from the slow variable's start: shape ``(times, starts, K)``."""
        grid = TorusGrid(self.landscape.dim, resolution)
        start = self.slow(law, eta, 0.0, self.start_x, self.start_memory) if self.shifted else self.start_x
        at_start = MemoryGrid(self.landscape.dim, resolution, [], 1).weights(start, start[:, :0])
        phi = self.test_functions(grid.points)
        states = []
        if not self.recursion.schedules:
            power = torch.linalg.matrix_exp(self.times[0] * self.generator(law, sde, eta, grid)(0.0))
            state = phi
            for _ in self.times:
                state = power @ state
                states.append(state)
        else:
            over = OverTime(self.generator(law, sde, eta, grid), self.times[-1])
            state = phi[:, :0]
            for before, time in reversed(list(zip([0.0, *self.times], self.times, strict=False))):
                state = backwards(over, torch.cat([phi, state], 1), before, time)
            states = list(state.unflatten(1, (len(self.times), -1)).unbind(1))
        return torch.stack([at_start @ state for state in states])

    def generator(self, law: Claim, sde: SDE, eta: float, grid: TorusGrid) -> Callable[[float], Tensor]:
        """``L`` at a time, a matrix."""
        identity = torch.eye(len(grid.points), dtype=torch.float64)
        rho, x = law.rho(eta), grid.points[:, None]

        def matrix(time: float) -> Tensor:
            if self._own is not None:
                drift, covariance = self._own(self.landscape, sde, x, rho, eta, law.values)
            else:
                found = coefficients(self.landscape, sde, x, rho, law.values, time=time)
                drift, covariance = found.drift(eta), found.covariance_matrix()
            if not all(bool(each.isfinite().all()) for each in (drift, covariance)):
                raise InputError(f"recursion '{self.recursion.name}' gives values that are not finite here")
            return grid.generator(drift, covariance, eta)(identity)

        return matrix

    def initial_layer(self, law: Claim, resolution: Resolution) -> InitialLayer | None:
        """Errors at all periods up to twice the length of the layer; None with schedules or without fast memory."""
        if self.recursion.schedules or not self.fast:
            return None
        every = [self._layer(law, eta, resolution) for eta in law.etas]
        slow, position, after, mean = (list(each) for each in zip(*(errors for errors, _ in every), strict=True))
        return InitialLayer(list(law.etas), slow, position, after, mean, [steps for _, steps in every])

    def _layer(self, law: Claim, eta: float, resolution: Resolution) -> tuple[list[float], int]:
        """Of the slow variable, of the position, of it after the layer and from the mean, and steps of the layer."""
        parts = self.claim.sde.parts
        assert parts is not None
        factor = max(abs(float(value)) for value in parts.effective(Fraction(1)).step.factors.values())
        steps = _LAYER * math.log(eta) / math.log(factor) if factor else 1.0
        periods = max(1, math.ceil(steps / self.length))
        grid, x = self.grid(resolution), TorusGrid(1, _LAYER_POINTS).points
        matrices = [self.transition(law, eta, grid, sequences)(0.0) for sequences in self.period.worlds]
        line = MemoryGrid(1, resolution.position, [], 1)
        step = torch.matrix_exp(self.length * eta * self.generator(law, law.sde, eta, line.positions)(0.0))
        values = self.test_functions(grid.x), self.test_functions(self.slow(law, eta, 0.0, grid.x, grid.memory))
        truth_values = self.test_functions(line.x)

        def errors(memory: Tensor) -> tuple[list[float], list[float]]:
            rows = [grid.weights(x, memory)] * len(matrices)
            y = self.slow(law, eta, 0.0, x, memory)
            truth = line.weights(y, y[:, :0])
            found: tuple[list[float], list[float]] = ([], [])
            for _ in range(2 * periods):
                rows = [row @ matrix for row, matrix in zip(rows, matrices, strict=True)]
                truth = truth @ step
                mean = sum(rows[1:], rows[0]) / len(rows)
                for each, function in zip(found, values, strict=True):
                    each.append(float((mean @ function - truth @ truth_values).abs().max()))
            return found

        position, slow = errors(torch.zeros(len(x), len(self.fast), dtype=torch.float64))
        from_mean = errors(self._rested(law, eta, x))[0]
        return [max(slow), max(position), max(position[periods - 1 :]), max(from_mean)], periods * self.length

    def _rested(self, law: Claim, eta: float, x: Tensor) -> Tensor:
        """The mean of memory with the position held, shape ``(P, blocks)``."""
        memory = self.box.starts[MEAN].expand(len(x), -1)
        for _ in range(_MOST_ROUNDS):
            after = self._at(law, eta, 0.0)({POSITION: x, **self._named(memory)})
            moved = torch.cat([after[name].mean(1) for name in self.fast], 1)
            if float((moved - memory).abs().max()) <= _ROUNDING * float(memory.abs().max() + 1):
                break
            memory = moved
        return memory

    def influences(self, law: Claim, terms: list[Term], resolution: int) -> list[dict[Term, float]]:
        """How far a change of each coefficient moves the right SDE's expectations at the last step size, by group."""
        if not terms:
            return [{} for _ in self.groups]
        eta = law.etas[-1]
        right = self.solution(law, terms[0].right, eta, resolution)
        moved = {term: (self.solution(law, term.changed, eta, resolution) - right).abs().numpy() for term in terms}
        return [{term: float(each[:, group].max()) for term, each in moved.items()} for group in self.groups]
