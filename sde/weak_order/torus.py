"""Weak order on tilted tori, without Monte-Carlo noise (theory, sections 3 and 4)."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...landscapes import InputError, TiltedTorus
from ..coefficients import drift_and_covariance, exact_increments
from ..symbolic.bindings import Values
from ..symbolic.derivation import SDE
from ..symbolic.language import Loss, walk
from .claim import ETAS, TOLERANCE, Claim, Progress, TestFunctions, step_count, visible_etas
from .divisors import check_divisors, divisor_values, divisors
from .evidence import Evidence, largest
from .evolution import Evolution
from .needed_terms import Term, needed_terms
from .own_coefficients import Coefficients, checked_coefficients
from .torus_grid import MOST_ROWS, TorusGrid
from .verdict import WeakOrder, conclude

__all__ = ["Coefficients", "periodic_test_functions", "verify_on_torus"]

_START_POINTS = {1: 31, 2: 31, 3: 9}  # per axis
_TIMES = {1: 8, 2: 8, 3: 4}  # at which chain and SDE are compared
_ETAS = {1: ETAS, 2: ETAS, 3: ETAS[::2]}
_LEAST = 4  # step sizes: below, rounding is the verdict

_GROWTH = 1.25  # of the resolution, from one attempt to the next
_FIRST = {1: 17, 2: 13, 3: 9}
_FINE = {1: (31, 301, 3001), 2: (31, 91, 271), 3: (9, 25, 49)}  # grids on which a zero is looked for, until one clears
_MOST_APPLICATIONS = 1e5  # of an operator, up to a factor: minutes in two dimensions
_MOST_WORK = 3e10  # multiplications in one application of the chain's operator: seconds on two cores
MEMORY = 2.0**31
"""Bytes that the operators of one grid may take (ours: any laptop has them)."""

_COARSE = 2 ** (TOLERANCE / 2) - 1  # a change of the last error that moves the last slope by half the tolerance
_ROUNDING = 1e-12  # of the largest value of a test function: more than what pure shifts leave, see the tests


def periodic_test_functions(points: Tensor) -> Tensor:
    """Three smooth periodic test functions, shape ``(N, 3)``."""
    first, last = points[:, 0], points[:, -1]
    return torch.stack([first.sin() + 0.5 * last.cos(), (0.5 * (first - 1).cos()).exp(), (2 * last + 0.3).cos()], 1)


def verify_on_torus(
    sde: SDE,
    *,
    landscape: TiltedTorus | None = None,
    etas: Sequence[float] | None = None,
    horizon: float = 1.0,
    rho_scale: float = 0.8,
    resolution: int | None = None,
    memory: float = MEMORY,
    values: Values | None = None,
    test_functions: TestFunctions = periodic_test_functions,
    coefficients: Coefficients = drift_and_covariance,
    expected: float | None = None,
    progress: Progress = lambda done, total: None,
) -> WeakOrder:
    """Measure the weak order of an SDE against its rule, exactly, on a tilted torus.

    For periodic ``phi`` the rule's ``E phi(x_k)`` is ``P^k phi`` and the SDE's is ``e^{k eta L} phi``, both up to the
    grid's error, which decays faster than any power of its spacing, and with no sampling noise. The weak error is the
    largest difference over start points, test functions and eight times up to ``T`` that all chains reach. Neither
    operator is a matrix unless it is a small one, so ``eta = 2^-16`` and three dimensions are routine.

    A pass says more than a slope, see :mod:`.evidence`: the errors fall like ``eta^p`` as functions, at two values of
    ``c``, and a mistake of 10 % in any coefficient that the order needs would have been seen here.

    Args:
        sde: from :func:`derive` or :func:`truncate`; it has ``beta`` in ``rho = rho_scale * eta^beta``.
        landscape: default ``TiltedTorus.default(2)``.
        etas: at least two step sizes, decreasing; each divides ``horizon``; at least three, over a factor of 4, for a
            verdict. Default: :data:`ETAS`, every second one in three dimensions, less those that drown in rounding.
        horizon: final time ``T``.
        rho_scale: ``c > 0`` (default as in theory, section 4); the smallest step sizes are measured at 1.25 of it, too.
        resolution: odd number of grid points per axis; by default it grows until the last error has settled.
        memory: bytes that a grid's operators may take.
        values: of the rule's parameters and frozen directions.
        test_functions: maps points ``(N, d)`` to periodic functions ``(N, K)``.
        coefficients: drift and covariance of the SDE, to verify an implementation of one's own: the signature of
            :func:`drift_and_covariance`, which is the default; what it returns is checked.
        expected: the order to be confirmed; default: the one that the derivation proves.
        progress: called with (done, total) from the start on, several times per step size; the total grows with each
            grid that turns out to be too coarse.

    Returns:
        With the details ``horizon``, ``resolution``, ``discretisation`` (relative change of the last error between
        that grid and another, which is at least four points per axis coarser or finer), ``rounding`` (a generous
        estimate of the rounding error), ``divisors`` (see :func:`divisors`) and those of :class:`WeakOrder`. The
        verdict is ``inconclusive`` where the grid or rounding cannot tell.

    Raises:
        InputError: a nonpositive scale; step sizes that do not decrease or do not divide the horizon; a symbol of
            the rule without a value; a test function that is not periodic; a landscape where the rule divides by
            something that cannot be told from zero; a resolution that does not fit into memory; coefficients that are
            no drift and covariance.

    Example:
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.sde import derive, find_rule, verify_on_torus
        >>> sde = derive(find_rule("sam"), weak_order=1, rho_exponent="1/2")
        >>> result = verify_on_torus(sde, landscape=TiltedTorus.default(1))
        >>> result.verdict, round(result.slope, 1)
        ('pass', 1.0)
    """
    landscape = TiltedTorus.default(2) if landscape is None else landscape
    own = etas is not None
    etas = _ETAS.get(getattr(landscape, "dim", 0), ETAS) if etas is None else etas
    etas = etas if own else visible_etas(sde, etas, rho_scale)
    claim = Claim.checked(sde, landscape, etas, rho_scale, values, expected)
    if not isinstance(landscape, TiltedTorus) or landscape.dim not in _FIRST:
        raise InputError(
            f"found {type(landscape).__name__} of dimension {claim.landscape.dim}; the torus method needs a "
            "TiltedTorus of dimension 1, 2 or 3"
        )
    if any(isinstance(node, Loss) for node in walk(sde.rule.direction)):
        raise InputError(f"rule '{sde.rule.name}' contains a loss, which is not periodic on a tilted torus")
    horizon = float(horizon)
    counts = [step_count(horizon, eta) for eta in claim.etas]
    times = _common_times(horizon, counts, _TIMES[landscape.dim])
    _check_periodic(test_functions, landscape)
    terms = needed_terms(sde, claim.order)
    laws = [claim] if (other := claim.at_another_scale()) is None else [claim, other]
    evaluations = sum(len(law.etas) for law in laws) + 1 + len(laws) * bool(terms)
    steps = _Steps(progress, evaluations * len(times))
    torus = _Torus(claim, landscape, times, test_functions, checked_coefficients(coefficients), steps)
    rounding = _ROUNDING * float(test_functions(torus.starts.points).abs().max())

    if resolution is not None:
        n, found, discretisation = torus.at(resolution, memory)
    else:
        n, found, discretisation = torus.settled(claim, rounding, memory)
        while not own and rounding > _COARSE * found.error and len(claim.etas) > _LEAST:
            claim = claim.upto(len(claim.etas) - 1)  # the smallest of the default ones drowns
            n, found, discretisation = torus.settled(claim, rounding, memory)
    laws = [claim] if (other := claim.at_another_scale()) is None else [claim, other]
    evidence = []
    for law in laws:
        every = [torus.compared(law, eta, n) for eta in (law.etas[:-1] if law is claim else law.etas)]
        every += [found] if law is claim else []
        doubt = ""
        if rounding > _COARSE * every[-1].error:
            doubt = (
                f"the last error {every[-1].error:.2g} is not far above rounding, {rounding:.2g}; use larger step sizes"
            )
        elif law is claim and discretisation > _COARSE:
            doubt = f"the last error still changes by {discretisation:.2g} of itself at resolution {n}; " + (
                "give a larger one"
                if resolution is not None
                else f"the next grid needs {torus.bytes(_next(n)) / 2**30:.2g} GiB and {torus.work(_next(n)):.2g} "
                "multiplications per application: use a smoother landscape or larger step sizes"
            )
        evidence.append(
            Evidence.of(
                law,
                [each.difference for each in every],
                chains=[each.chain for each in every],
                flows=[each.chain - each.difference for each in every],
                influences=torus.influences(law, terms, n),
                doubt=doubt,
            )
        )
    steps.finish()
    return conclude(
        "torus",
        evidence,
        horizon=horizon,
        resolution=n,
        discretisation=discretisation,
        rounding=rounding,
        divisors=[vars(d) for d in torus.found],
    )


class _Steps:
    """Progress in small steps towards a total that may grow."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0
        progress(0, total)

    def step(self) -> None:
        self.done += 1
        self.total = max(self.total, self.done)
        self.progress(self.done, self.total)

    def more(self, count: int) -> None:
        """A further evaluation."""
        self.total += count

    def finish(self) -> None:
        self.progress(self.total, self.total)


class _Compared(NamedTuple):
    """Chain and difference from the SDE at start points, by time and test function: NumPy arrays of one shape."""

    chain: Any
    difference: Any

    @property
    def error(self) -> float:
        return largest(self.difference)


class _Torus:
    """Weak errors of a claim, by step size and resolution."""

    def __init__(
        self,
        claim: Claim,
        landscape: TiltedTorus,
        times: list[float],
        test_functions: TestFunctions,
        coefficients: Coefficients,
        steps: _Steps,
    ) -> None:
        self.claim, self.landscape, self.times, self.steps = claim, landscape, times, steps
        self.test_functions, self.coefficients = test_functions, coefficients
        grid = TorusGrid(landscape.dim, _START_POINTS[landscape.dim], landscape.device)
        eta = claim.etas[0]
        self.starts = grid
        self.found = divisors(claim.sde.rule, landscape, grid.points[:, None], claim.rho(eta), eta, claim.values)
        check_divisors(self.found, claim.sde.rule)
        for resolution in _FINE[landscape.dim]:
            doubt = self.may_vanish(resolution)
            if not doubt:
                break
        else:
            raise InputError(doubt)

    def settled(self, claim: Claim, rounding: float, memory: float) -> tuple[int, _Compared, float]:
        """A resolution at which the last error has settled, or the largest possible; that error; its last change.

        The coarser of two grids suffices where they agree well.
        """
        eta, n = claim.etas[-1], max(_FIRST[self.landscape.dim], self._least())
        if not self._possible(_next(n), memory):
            raise InputError(
                f"the landscape's waves need a resolution of {n}: {self.bytes(n) / 2**30:.3g} GiB and "
                f"{self.work(n):.2g} multiplications per application; use lower frequencies or larger memory"
            )
        found, change = self.compared(claim, eta, n), math.inf
        while self._possible(_next(n), memory):
            coarser, before = n, found
            n = _next(n)
            found = self.compared(claim, eta, n)
            change = _change(before, found)
            apart = largest(found.difference - before.difference)
            if apart <= _COARSE / 2 * found.error:  # as functions: a number may agree by chance
                return coarser, before, change
            if change <= _COARSE or rounding > _COARSE * found.error:  # settled, or nothing there to settle
                break
            self.steps.more(len(self.times))
        return n, found, change

    def at(self, resolution: int, memory: float) -> tuple[int, _Compared, float]:
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
        for name, value in divisor_values(claim.sde.rule, f, x, claim.rho(claim.etas[-1]), claim.values).items():
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

    def compared(self, claim: Claim, eta: float, resolution: int) -> _Compared:
        """Chain and SDE at start points that do not depend on the grid."""
        landscape = self.landscape
        grid = TorusGrid(landscape.dim, resolution, landscape.device)
        x, rho = grid.points[:, None], claim.rho(eta)
        h = exact_increments(landscape, claim.sde.rule, x, rho, claim.values)
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
        flow = Evolution(grid.generator(drift, covariance, eta))
        chained = flowed = self.test_functions(grid.points)
        now, chains, differences = 0.0, [], []
        for time in self.times:
            chained, flowed = chain.advance(chained, time - now), flow.advance(flowed, time - now)
            now = time
            chains.append(grid.resampled(chained, self.starts))
            differences.append(grid.resampled(chained - flowed, self.starts))
            self.steps.step()
        return _Compared(*(torch.stack(each).cpu().numpy() for each in (chains, differences)))

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
        flow = Evolution(grid.generator(drifts, covariances, eta))
        state = self.test_functions(grid.points)[:, None].expand(-1, len(sdes), -1)
        found, now = torch.zeros(len(terms), dtype=torch.float64), 0.0
        for time in self.times:
            state, now = flow.advance(state, time - now), time
            moved = grid.resampled((state[:, 1:] - state[:, :1]).flatten(1), self.starts)
            found = torch.maximum(found, moved.abs().amax(0).unflatten(0, (len(terms), -1)).amax(1).cpu())
            self.steps.step()
        return dict(zip(terms, found.tolist(), strict=True))


def _common_times(horizon: float, counts: list[int], most: int) -> list[float]:
    """At most so many equally spaced times up to the horizon that are whole numbers of steps for every step size."""
    common = math.gcd(*counts)
    parts = max(k for k in range(1, most + 1) if common % k == 0)
    return [horizon * (k + 1) / parts for k in range(parts)]


def _change(before: _Compared, after: _Compared) -> float:
    return abs(after.error - before.error) / after.error if after.error > 0 else math.inf


def _next(resolution: int) -> int:
    """The next odd number, at least 4 larger."""
    n = max(resolution + 4, round(_GROWTH * resolution))
    return n + 1 - n % 2


def _check_periodic(test_functions: TestFunctions, landscape: TiltedTorus) -> None:
    points = TorusGrid(landscape.dim, 7, landscape.device).points + 0.1
    values = test_functions(points)
    if values.ndim != 2 or len(values) != len(points) or not values.is_floating_point():
        raise InputError(
            f"test functions give shape {tuple(values.shape)}, {values.dtype}, at {len(points)} points; expected "
            f"floats of shape ({len(points)}, K)"
        )
    for axis in range(landscape.dim):
        shift = 2 * torch.pi * torch.eye(landscape.dim, dtype=points.dtype, device=points.device)[axis]
        change = float((test_functions(points + shift) - values).abs().max())
        if not change <= 1e-9 * max(1.0, float(values.abs().max())):
            raise InputError(
                f"a test function changes by {change:.3g} when coordinate {axis + 1} grows by 2 pi; the torus method "
                "needs functions of period 2 pi, such as sin(x): use another one or another method"
            )
