"""Weak errors on a tilted torus, by step size and resolution of the grid."""

import math
from typing import Any, NamedTuple

import torch

from ...ground.errors import InputError
from ...landscapes.analytic.torus import TiltedTorus
from ..simulation.problems.coefficients import drift_and_covariance, exact_increments
from .claim import TOLERANCE, Claim, TestFunctions
from .divisor_check import check_divisors, divisor_values, divisors
from .evidence import largest
from .evolution import Evolution
from .needed_terms import Term
from .own_coefficients import CoefficientFunction
from .torus_grid import MOST_ROWS, TorusGrid
from .torus_steps import Steps

__all__ = ["COARSE", "DIMENSIONS", "Compared", "TorusErrors", "finer"]

_START_POINTS = {1: 31, 2: 31, 3: 9}  # per axis
_GROWTH = 1.25  # of the resolution, from one attempt to the next
_FIRST = {1: 17, 2: 13, 3: 9}
DIMENSIONS = tuple(_FIRST)
_FINE = {1: (31, 301, 3001), 2: (31, 91, 271), 3: (9, 25, 49)}  # grids on which a zero is looked for, until one clears
_MOST_APPLICATIONS = 1e5  # of an operator, up to a factor: minutes in two dimensions
_MOST_WORK = 3e10  # multiplications in one application of the chain's operator: seconds on two cores
COARSE = 2 ** (TOLERANCE / 2) - 1  # a change of the last error that moves the last slope by half the tolerance


class Compared(NamedTuple):
    """Chain and difference from the SDE at start points, by time and test function: NumPy arrays of one shape."""

    chain: Any
    difference: Any

    @property
    def error(self) -> float:
        """The largest."""
        return largest(self.difference)


class TorusErrors:
    """Weak errors of a claim, by step size and resolution."""

    def __init__(
        self,
        claim: Claim,
        landscape: TiltedTorus,
        times: list[float],
        test_functions: TestFunctions,
        coefficients: CoefficientFunction,
        steps: Steps,
    ) -> None:
        self.claim, self.landscape, self.times, self.steps = claim, landscape, times, steps
        self.test_functions, self.coefficients = test_functions, coefficients
        grid = TorusGrid(landscape.dim, _START_POINTS[landscape.dim], landscape.device)
        eta = claim.etas[0]
        self.starts = grid
        self.found = divisors(claim.sde.memoryless, landscape, grid.points[:, None], claim.rho(eta), eta, claim.values)
        check_divisors(self.found, claim.sde.memoryless)
        for resolution in _FINE[landscape.dim]:
            doubt = self.may_vanish(resolution)
            if not doubt:
                break
        else:
            raise InputError(doubt)

    def settled(self, claim: Claim, rounding: float, memory: float) -> tuple[int, Compared, float]:
        """A resolution at which the last error has settled, or the largest possible; that error; its last change.

        The coarser of two grids suffices where they agree well.
        """
        eta, n = claim.etas[-1], max(_FIRST[self.landscape.dim], self._least())
        if not self._possible(finer(n), memory):
            raise InputError(
                f"the landscape's waves need a resolution of {n}: {self.bytes(n) / 2**30:.3g} GiB and "
                f"{self.work(n):.2g} multiplications per application; use lower frequencies or larger memory"
            )
        found, change = self.compared(claim, eta, n), math.inf
        while self._possible(finer(n), memory):
            coarser, before = n, found
            n = finer(n)
            found = self.compared(claim, eta, n)
            change = _change(before, found)
            apart = largest(found.difference - before.difference)
            if apart <= COARSE / 2 * found.error:  # as functions: a number may agree by chance
                return coarser, before, change
            if change <= COARSE or rounding > COARSE * found.error:  # settled, or nothing there to settle
                break
            self.steps.more(len(self.times))
        return n, found, change

    def at(self, resolution: int, memory: float) -> tuple[int, Compared, float]:
        """The same for a resolution that is given, and one that is four points finer."""
        n = resolution + 4
        if resolution < self._least():
            raise InputError(
                f"resolution {resolution} does not see the landscape's waves; give at least {self._least()}"
            )
        if self.bytes(n) > memory:
            raise InputError(
                f"resolution {resolution} needs {self.bytes(n) / 2**30:.3g} GiB and the limit is "
                f"{memory / 2**30:.3g} GiB: give a smaller resolution or a larger memory"
            )
        before, found = (self.compared(self.claim, self.claim.etas[-1], each) for each in (resolution, n))
        return n, found, _change(before, found)

    def _least(self) -> int:
        """Below, the landscape's own waves are not seen."""
        return 2 * int(self.landscape.frequencies.abs().max()) + 1

    def _possible(self, resolution: int, memory: float) -> bool:
        return self.work(resolution) <= _MOST_WORK and self.bytes(resolution) <= memory

    def may_vanish(self, resolution: int) -> str:
        """Whether what the rule divides by may be zero between the points of a grid, and why."""
        claim, f = self.claim, self.landscape
        x = TorusGrid(f.dim, resolution, f.device).points[:, None]
        for name, value in divisor_values(claim.sde.memoryless, f, x, claim.rho(claim.etas[-1]), claim.values).items():
            on_grid = value.reshape(*[resolution] * f.dim, f.size)
            along = [torch.maximum(*((on_grid - on_grid.roll(s, i)).abs() for s in (1, -1))) for i in range(f.dim)]
            gap = on_grid.abs() - torch.linalg.vector_norm(torch.stack(along), dim=0)
            if not gap.min() > 0:
                worst = int(gap.argmin())
                size = float(value.abs().flatten()[worst])
                where = ", ".join(f"{number:.3g}" for number in x[worst // f.size, 0].tolist())
                return (
                    f"rule '{claim.sde.rule.name}' needs {name} away from 0, which is {size:.3g} at x = ({where}) of "
                    f"minibatch {worst % f.size + 1} and moves by {size - float(gap.min()):.3g} to the next point of a "
                    "grid: it vanishes nearby, or cannot be told from zero, and the rule is not smooth there, as the "
                    "theorem assumes; give tilts that exceed the ripples (TiltedTorus.gradient_floor > 0), or verify "
                    "at points away from critical ones with verify_one_step; 'eigensam order-table' shows SAM near a "
                    "critical point (measure_critical_point)"
                )
        return ""

    def work(self, resolution: int) -> float:
        """Multiplications of one application of the chain's operator to one function."""
        return float(self.landscape.size) * float(resolution) ** (2 * self.landscape.dim)

    def bytes(self, resolution: int) -> float:
        """Of the interpolation's kernels, of coefficients and their derivation, and of the chain's matrix."""
        d, size = self.landscape.dim, self.landscape.size
        rows = float(resolution) ** d
        return 8 * rows * (size * d * (2 * resolution + 60) + (3 * rows if rows <= MOST_ROWS else 0))

    def compared(self, claim: Claim, eta: float, resolution: int) -> Compared:
        """Chain and SDE at start points that do not depend on the grid."""
        landscape = self.landscape
        grid = TorusGrid(landscape.dim, resolution, landscape.device)
        x, rho = grid.points[:, None], claim.rho(eta)
        h = exact_increments(landscape, claim.sde.memoryless, x, rho, claim.values)
        drift, covariance = self.coefficients(landscape, claim.sde, x, rho, eta, claim.values)
        if not all(bool(t.isfinite().all()) for t in (h, drift, covariance)):
            raise InputError(
                f"rule '{claim.sde.rule.name}' gives values that are not finite on this landscape; check its "
                "perturbation"
            )
        # The series have some applications per unit of these.
        moves = max(float(h.abs().max()), float(drift.abs().max())) * resolution
        spreads = eta * float(covariance.abs().max()) * resolution**2 / 8
        work = self.times[-1] * max(moves, spreads)
        if work > _MOST_APPLICATIONS:
            raise InputError(
                f"increments of {float(h.abs().max()):.3g}, or the SDE's drift of {float(drift.abs().max()):.3g} and "
                f"covariance of {float(covariance.abs().max()):.3g}, take {work:.2g} steps until T = "
                f"{self.times[-1]:g}, at most {_MOST_APPLICATIONS:.0e} are computed: give a shorter T, a smaller rho "
                "scale, smaller step sizes or smaller tilts"
            )
        chain = Evolution(grid.chain(h, eta), eta)
        semigroup = Evolution(grid.generator(drift, covariance, eta))
        chained = evolved = self.test_functions(grid.points)
        now, chains, differences = 0.0, [], []
        for time in self.times:
            chained, evolved = chain.advance(chained, time - now), semigroup.advance(evolved, time - now)
            now = time
            chains.append(grid.resampled(chained, self.starts))
            differences.append(grid.resampled(chained - evolved, self.starts))
            self.steps.step()
        return Compared(*(torch.stack(each).cpu().numpy() for each in (chains, differences)))

    def influences(self, claim: Claim, terms: list[Term], resolution: int) -> dict[Term, float]:
        """How far a change of each coefficient moves the right SDE's expectations at the last step size.

        To a few per cent: a grid half as fine as that of the errors suffices.
        """
        if not terms:
            return {}
        resolution = min(resolution, max(_FIRST[self.landscape.dim], self._least(), resolution // 2 | 1))
        landscape, eta = self.landscape, claim.etas[-1]
        grid = TorusGrid(landscape.dim, resolution, landscape.device)
        x, rho = grid.points[:, None], claim.rho(eta)
        sdes = [terms[0].right, *(term.changed for term in terms)]
        every = [drift_and_covariance(landscape, sde, x, rho, eta, claim.values) for sde in sdes]
        drifts, covariances = (torch.stack(part, 1) for part in zip(*every, strict=True))
        semigroup = Evolution(grid.generator(drifts, covariances, eta))
        state = self.test_functions(grid.points)[:, None].expand(-1, len(sdes), -1)
        found, now = torch.zeros(len(terms), dtype=torch.float64), 0.0
        for time in self.times:
            state, now = semigroup.advance(state, time - now), time
            moved = grid.resampled((state[:, 1:] - state[:, :1]).flatten(1), self.starts)
            found = torch.maximum(found, moved.abs().amax(0).unflatten(0, (len(terms), -1)).amax(1).cpu())
            self.steps.step()
        return dict(zip(terms, found.tolist(), strict=True))


def _change(before: Compared, after: Compared) -> float:
    return abs(after.error - before.error) / after.error if after.error > 0 else math.inf


def finer(resolution: int) -> int:
    """The next odd number, at least 4 larger."""
    n = max(resolution + 4, round(_GROWTH * resolution))
    return n + 1 - n % 2
