"""Weak order by sampling, with an interval on every error and on the slope: for everything that has no exact method."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...ground.errors import InputError
from ...ground.intervals import student_quantile
from ...ground.workers import in_workers
from ...landscapes.landscape import Landscape
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values
from ..simulation.noise import PathNoise
from ..simulation.streaming import StreamingStatistics
from .claim import Claim, Progress, TestFunctions, step_count
from .coupled_paths import Level, coarser, level
from .evidence import Evidence
from .needed_terms import Term, needed_terms
from .one_step import default_points, polynomial_test_functions
from .path_state import check_state, read_state, run_identity, write_state
from .plans import MonteCarloPlan
from .slope_fit import RESOLVED, SlopeFit, fit_slope, resolved
from .verdict import WeakOrder, conclude

__all__ = ["MONTE_CARLO_ETAS", "verify_monte_carlo"]

Array = NDArray[np.float64]

MONTE_CARLO_ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(4, 9))
"""Ours: below, paths of ``1/eta`` steps take long; above, the slope is not yet the asymptotic one."""

_TOLERANCE = 0.15  # ours: below half of 1/3, the gap between orders; sampling needs all of the room
_VISIBLE = 0.3  # ours: mistakes in coefficients that may go unseen, as much coarser as the tolerance is
_INFLUENCE_PATHS = 64  # that tell how large such a mistake is
_HALF_WIDTH = 0.05  # of the slope's interval, that the number of paths is planned for
_PILOT_PATHS = 2048
_CHECK_PATHS = 256  # of these, for the integrator
_PILOT, _MAIN = 0, 1  # streams of noise
_INTEGRATOR = 0.1  # share of the error that the integrator may have
_ROUNDING = 1e-14  # of a test function's size: what noise may not be smaller than
_BLOCK = 2**12  # paths that are computed together, at most
_NUMBERS = 2**20  # in one tensor of a block


def verify_monte_carlo(
    sde: SDE,
    landscape: Landscape,
    start: Tensor | None = None,
    *,
    etas: Sequence[float] = MONTE_CARLO_ETAS,
    rho_scale: float = 0.8,
    values: Values | None = None,
    plan: MonteCarloPlan | None = None,
    progress: Progress = lambda done, total: None,
) -> WeakOrder:
    """Measure the weak order of an SDE by paths of rule and SDE that share their noise.

    A pilot chooses the test function with the clearest error, checks that the integrator of the SDE (one of
    ``O(eta^3)``, :func:`splitting_path`) does not matter by halving its steps, and plans the number of paths and the
    step sizes that this number can resolve. The main run has its own noise, so nothing of the choice biases its
    intervals.

    Args:
        sde: from :func:`derive` or :func:`truncate`; it has ``beta`` in ``rho = rho_scale * eta^beta``.
        landscape: any, networks included.
        start: ``x_0``, shape ``(d,)``; default: the first of :func:`default_points`.
        etas: at least two step sizes, decreasing, multiples of the smallest; each divides the plan's horizon.
        rho_scale: ``c > 0``.
        values: of the rule's parameters and frozen directions.
        plan: the order to be confirmed, the horizon, test functions, paths, confidence, seed, processes, state.
        progress: called with (done, total) after each chunk.

    Returns:
        ``errors`` are those of the chosen test function. With the details ``horizon``, ``paths``, ``planned``,
        ``confidence``, ``half_widths`` (of the errors' intervals), ``slope_half_width``, ``function`` (its index),
        ``all_errors`` and ``all_half_widths`` (step size by function, signed), ``integrator`` and ``integrator_errors``
        (how much halving its steps changes the mean, and the standard error of that),
        ``variance_ratio`` (of independent paths to these, by step size) and ``seed``. ``slope`` is that between the
        two smallest resolved step sizes. The verdict is ``pass`` where the whole interval of the slope lies within the
        tolerance, ``fail`` where all of it lies outside and the slope has settled, else ``inconclusive``.

    Raises:
        InputError: step sizes that are not multiples of the smallest; paths that diverge; a test function without
            gradient; a state file of another run; errors of :func:`verify_on_torus`.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import MonteCarloPlan, find_rule, truncate, verify_monte_carlo
        >>> sde, f = truncate(find_rule("usam"), "1/2", 2), Quadratic.random(2)
        >>> result = verify_monte_carlo(sde, f, etas=[1 / 4, 1 / 8, 1 / 16], plan=MonteCarloPlan(paths=2000))
        >>> result.verdict, len(result.details["half_widths"])
        ('pass', 3)
    """
    plan = MonteCarloPlan() if plan is None else plan
    claim = Claim.checked(sde, landscape, etas, rho_scale, values, plan.expected)
    claim = replace(claim, tolerance=_TOLERANCE, visible=_VISIBLE)
    horizon, paths, confidence = float(plan.horizon), plan.paths, plan.confidence
    counts = [step_count(horizon, eta) for eta in claim.etas]
    for eta, count in zip(claim.etas, counts, strict=True):
        if counts[-1] % count:
            raise InputError(
                f"eta = {eta:g} is not a multiple of the smallest, {claim.etas[-1]:g}, with which it shares its noise; "
                "give e.g. 1/8,1/16,1/32"
            )
    x = default_points(landscape)[0] if start is None else start
    x = torch.as_tensor(x, dtype=landscape.dtype, device=landscape.device)
    if x.shape != (landscape.dim,):
        raise InputError(f"start has shape {tuple(x.shape)}; expected ({landscape.dim},)")
    state = None if plan.state is None else Path(plan.state)
    if state is not None and state.exists():
        check_state(state)
    functions = _default_functions(landscape) if plan.test_functions is None else plan.test_functions
    levels = [level(claim, eta, count, x, functions) for eta, count in zip(claim.etas, counts, strict=True)]
    run = _Run(levels, plan.seed, plan.chunk_size, plan.jobs)

    pilot = run.pilot(min(_PILOT_PATHS, paths or _PILOT_PATHS), progress)
    planned, kept = _planned(pilot, claim, plan.most_paths, confidence) if paths is None else (paths, len(levels))
    run = _Run(levels[:kept], plan.seed, plan.chunk_size, plan.jobs)
    statistics = run.main(planned, state, progress)

    size = len(pilot.means[0])
    errors, half_widths = (part.reshape(kept, size) for part in _intervals(statistics, confidence))
    j = pilot.function
    chosen = [i * size + j for i in range(kept)]
    rounding = _ROUNDING * float(functions(x[None]).abs().max())
    covariance = statistics.covariance[np.ix_(chosen, chosen)] / statistics.count + rounding**2 * np.eye(kept)
    claim = replace(claim, etas=claim.etas[:kept])
    fit = fit_slope(claim.etas, errors[:, j], covariance, confidence)
    doubt = _doubt(claim, errors[:, j], covariance, fit, pilot)
    last = 0 if fit is None else fit.last
    evidence = Evidence.of(claim, list(errors[:, j : j + 1]), doubt=doubt).upto(last + 1)
    if not doubt:
        terms = needed_terms(sde, claim.order)
        evidence = replace(evidence, influences=run.influences(levels[last], terms, j))
    return conclude(
        "monte-carlo",
        [evidence],
        etas=claim.etas,
        errors=np.abs(errors[:, j]).tolist(),
        horizon=horizon,
        paths=statistics.count,
        planned=planned,
        confidence=confidence,
        half_widths=half_widths[:, j].tolist(),
        slope_half_width=math.nan if fit is None else fit.half_width,
        function=j,
        all_errors=errors.tolist(),
        all_half_widths=half_widths.tolist(),
        integrator=pilot.integrator.tolist(),
        integrator_errors=pilot.integrator_error.tolist(),
        variance_ratio=pilot.variance_ratio.tolist(),
        seed=plan.seed,
    )


def _intervals(statistics: StreamingStatistics, confidence: float) -> tuple[Array, Array]:
    """Means and half widths of Student's intervals."""
    standard = np.sqrt(np.diag(statistics.covariance) / statistics.count)
    return statistics.mean, student_quantile(statistics.count, confidence) * standard


def _default_functions(landscape: Landscape) -> TestFunctions:
    def functions(x: Tensor) -> Tensor:
        return torch.cat([polynomial_test_functions(x), landscape.loss(x[:, None])[:, None]], 1)

    return functions


class _Pilot:
    """What the pilot has found.

    Attributes:
        means: errors, step size by function.
        standard: standard deviations of one path's difference, the same shape.
        function: the index with the clearest error at the smallest step sizes.
        count: of paths.
        covariance: of the chosen function's differences between step sizes.
        integrator: by step size, the chosen function's difference between one and two substeps.
        integrator_error: its standard error.
        variance_ratio: of independent paths without control variates to coupled ones with them.
    """

    def __init__(self, differences: Array, compared: Array) -> None:
        self.count = len(differences)
        self.means, self.standard = differences.mean(0), differences.std(0, ddof=1)
        size = np.abs(self.means)
        clarity = size / (self.standard + 0.01 * size.max(0) + 1e-300)  # where there is no noise: no change of sign
        self.function = j = int(np.argmax(clarity.min(0)))
        self.covariance: Array = np.cov(differences[:, :, j].T)
        halved, plain = compared[:, :, 0, j], compared[:, :, 1:, j]
        self.integrator: Array = np.abs(halved.mean(0))
        self.integrator_error: Array = halved.std(0, ddof=1) / len(compared) ** 0.5
        self.variance_ratio: Array = plain.var(0, ddof=1).sum(1) / np.maximum(self.standard[:, j] ** 2, 1e-300)


class _Run:
    """All step sizes of a claim, block by block."""

    def __init__(self, levels: list[Level], seed: int, chunk_size: int, jobs: int) -> None:
        f = levels[0].claim.landscape
        # A new SDE object has no proof on it, which could not be sent to another process.
        self.levels = [replace(each, claim=replace(each.claim, sde=replace(each.claim.sde))) for each in levels]
        self.seed, self.jobs = seed, jobs
        cells = levels[-1].steps * f.size
        self.block = max(1, min(_BLOCK, _NUMBERS // (f.size * f.dim), 8 * _NUMBERS // cells))
        self.blocks_per_chunk = max(1, -(-chunk_size // self.block))

    def pilot(self, paths: int, progress: Progress) -> _Pilot:
        """A few paths with noise at half steps, with which the integrator is checked."""
        differences: list[Array] = []
        few: list[Array] = []
        starts = range(0, paths, self.block)
        for done, first in enumerate(starts):
            z = self._noise(_PILOT, 2, first, min(self.block, paths - first))
            differences.append(_array([each.differences(z) for each in self.levels]))
            if sum(len(part) for part in few) < _CHECK_PATHS:
                few.append(_array([_compared(each, z[:_CHECK_PATHS]) for each in self.levels]))
            progress(done + 1, 2 * len(starts))
        return _Pilot(np.concatenate(differences), np.concatenate(few))

    def main(self, paths: int, state: Path | None, progress: Progress) -> StreamingStatistics:
        """Stream the differences; blocks are merged in their order, whoever computes them."""
        statistics, blocks = StreamingStatistics.empty(len(self.levels) * self.levels[0].weights.shape[-1]), 0
        if state is not None:
            identity = run_identity(self.levels, self.seed, paths, self.block)
            statistics, blocks = read_state(state, identity, len(statistics.mean))
        firsts = range(blocks * self.block, paths, self.block)
        chunks = [firsts[i : i + self.blocks_per_chunk] for i in range(0, len(firsts), self.blocks_per_chunk)]
        for parts in in_workers(_chunk, ((self, chunk, paths) for chunk in chunks), self.jobs):
            for part in parts:
                statistics.add(part)
                blocks += 1
            if state is not None:
                write_state(state, identity, blocks, statistics)
            progress(statistics.count, paths)
        return statistics

    def _chunk(self, firsts: range, paths: int) -> list[Array]:
        result = []
        for first in firsts:
            z = self._noise(_MAIN, 1, first, min(self.block, paths - first))
            result.append(_array([each.differences(z) for each in self.levels]).reshape(len(z), -1))
        return result

    def influences(self, at: Level, terms: list[Term], j: int) -> dict[Term, float]:
        """How far a change of each coefficient moves the right SDE's mean of a test function, by a few paths.

        Paths of both share their noise and its negative, so little of it is left.
        """
        z = coarser(self._noise(_PILOT, 1, 0, _INFLUENCE_PATHS), at.steps)
        z = torch.cat([z, -z])

        def mean(sde: SDE) -> float:
            return float(replace(at, claim=replace(at.claim, sde=sde)).plain_solution(z)[:, j].double().mean())

        right = mean(terms[0].right) if terms else 0.0
        return {term: abs(mean(term.changed) - right) for term in terms}

    def _noise(self, stream: int, substeps: int, first: int, count: int) -> Tensor:
        f = self.levels[0].claim.landscape
        cells = substeps * self.levels[-1].steps
        z = PathNoise(self.seed, stream, cells * f.size).draw(first, count)
        return torch.from_numpy(z).reshape(count, cells, f.size).to(f.device, f.dtype)


def _compared(each: Level, z: Tensor) -> Tensor:
    """One step against two, ``phi`` of the rule and of the SDE without control variates: shape ``(n, 3, K)``.

    The first is antithetic: what is linear in the noise cancels, and half steps differ in little else.
    """
    one, two = (
        (each.solution(coarser(z, steps)) + each.solution(coarser(-z, steps))) / 2
        for steps in (each.steps, 2 * each.steps)
    )
    return torch.cat([(one - two)[:, None], each.plain(z)], 1)


def _array(tensors: list[Tensor]) -> Array:
    """By path, then by step size, in double precision."""
    return torch.stack(tensors, 1).cpu().double().numpy()


def _chunk(run: _Run, chunk: range, paths: int) -> list[Array]:
    return run._chunk(chunk, paths)


def _planned(pilot: _Pilot, claim: Claim, most_paths: int, confidence: float) -> tuple[int, int]:
    """The number of paths, and how many step sizes it resolves."""
    e = pilot.means[:, pilot.function].copy()
    clear = resolved(e, pilot.covariance / pilot.count)
    if clear:  # what the pilot does not resolve is extrapolated from the smallest step size that it does
        last = max(clear)
        for i in range(last + 1, len(e)):
            e[i] = e[last] * (claim.etas[i] / claim.etas[last]) ** claim.expected
    for kept in range(len(e), 1, -1):
        found = fit_slope(claim.etas[:kept], e[:kept], pilot.covariance[:kept, :kept] / 1e12, confidence)
        if found is None:
            continue
        at_one = found.half_width * 1e6  # the half width scales as 1 / sqrt(paths)
        last = found.last
        needed = (at_one / _HALF_WIDTH) ** 2
        needed = max(needed, 2 * (RESOLVED * pilot.standard[last, pilot.function] / e[last]) ** 2, _PILOT_PATHS)
        if needed <= most_paths or kept == 2:
            return min(math.ceil(needed), most_paths), kept
    return most_paths, 2


def _doubt(claim: Claim, errors: Array, covariance: Array, fit: SlopeFit | None, pilot: _Pilot) -> str:
    clear = resolved(errors, covariance)
    smallest = claim.etas[max(clear)] if clear else math.inf
    noise = (
        f"Monte-Carlo noise dominates below eta = {smallest:g}"
        if clear
        else "Monte-Carlo noise, or rounding, dominates"
    )
    if fit is None:
        widths = ", ".join(f"{e:.2g} +- {2 * s:.2g}" for e, s in zip(errors, np.sqrt(np.diag(covariance)), strict=True))
        return f"{noise}: the errors are {widths}; allow more paths or larger step sizes"
    last = fit.last
    share = max(0.0, pilot.integrator[last] - 2 * pilot.integrator_error[last]) / abs(errors[last])
    if share > _INTEGRATOR:
        return (
            f"the SDE's integrator changes by {share:.0%} of the error at eta = {claim.etas[last]:g} when its steps "
            "are halved; use smaller step sizes"
        )
    distance = abs(fit.slope - claim.expected)
    if distance + fit.half_width > claim.tolerance >= distance - fit.half_width:
        return (
            f"the slope {fit.slope:.3f} +- {fit.half_width:.2g} is neither within {claim.tolerance:g} of "
            f"{claim.expected:.3f} nor clearly outside: more paths narrow the interval, smaller step sizes move it; "
            f"{noise}"
        )
    return ""
