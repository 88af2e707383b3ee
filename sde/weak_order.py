"""Weak order as a measured slope, without Monte-Carlo noise (theory, sections 3 and 4)."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from scipy.linalg import expm

from ..landscapes import InputError, TiltedTorus
from .coefficients import drift_and_covariance, exact_increments
from .symbolic.bindings import Values
from .symbolic.derivation import SDE
from .symbolic.language import Loss, walk
from .torus_operators import Array, TorusGrid

__all__ = ["ETAS", "WeakOrder", "observed_slopes", "step_count", "verify_on_torus"]

ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(3, 10))
"""Step sizes ``2^-3 .. 2^-9`` (ours: enough halvings for the slope to settle)."""

_MOST_STEPS = 100_000
_SMALLEST_RHO, _LARGEST_RHO = 1e-6, 1e3  # below, differences of gradients drown in rounding; above, nothing is small

_START_POINTS = 31  # per axis

TOLERANCE = 0.05
"""Ours, times the order where that exceeds 1: far below half of 1/3, the gap between orders (theory, section 3)."""

_COARSE = 2 ** (TOLERANCE / 2) - 1  # a change of the last error that moves the last slope by half the tolerance


@dataclass(frozen=True)
class WeakOrder:
    """What a verification found.

    Attributes:
        rule: name of the update rule.
        drift: powers of ``rho`` that the drift keeps.
        correction: powers of ``rho`` that the correction ``b_1`` keeps.
        covariance: powers of ``rho`` that the increment in the covariance keeps.
        rho_exponent: ``beta`` of ``rho = rho_scale * eta^beta``.
        rho_scale: the constant ``c`` of that law.
        etas: step sizes, decreasing.
        errors: weak error at each step size: the maximum over test functions, start points and steps.
        slopes: ``log(e_i / e_{i+1}) / log(eta_i / eta_{i+1})``.
        expected: the order that the derivation proves, or the claim under test.
        tolerance: largest accepted distance between the last slope and ``expected``.
        discretisation: relative change of the last error when the grid is refined by 4 points per axis.
        verdict: ``pass``, ``fail``, or ``inconclusive`` where the grid is too coarse to tell.
    """

    rule: str
    drift: list[int]
    correction: list[int]
    covariance: list[int]
    rho_exponent: float
    rho_scale: float
    etas: list[float]
    errors: list[float]
    slopes: list[float]
    expected: float
    tolerance: float
    discretisation: float
    verdict: Literal["pass", "fail", "inconclusive"]

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready dictionary."""
        return asdict(self)


def observed_slopes(etas: Sequence[float], errors: Sequence[float]) -> list[float]:
    """Slopes between neighbouring points in the log-log plane; NaN where an error is zero.

    Example:
        >>> observed_slopes([0.5, 0.25, 0.125], [0.4, 0.2, 0.05])
        [1.0, 2.0]
    """
    return [
        math.log(e0 / e1) / math.log(h0 / h1) if e0 > 0 and e1 > 0 else math.nan
        for h0, h1, e0, e1 in zip(etas, etas[1:], errors, errors[1:], strict=False)
    ]


def step_count(horizon: float, eta: float) -> int:
    """``N = T / eta``, refused unless it is a whole number of steps.

    Example:
        >>> step_count(1.0, 0.125)
        8
    """
    if not 0 < horizon < math.inf:
        raise InputError(f"T = {horizon:g} is not a positive time; give e.g. 1")
    if not eta > 0:
        raise InputError(f"eta = {eta} is not positive; give step sizes such as 1/8,1/16")
    steps = round(horizon / eta)
    if steps < 1 or not math.isclose(steps * eta, horizon, rel_tol=1e-9):
        raise InputError(
            f"eta = {eta:g} does not divide T = {horizon:g}: T/eta = {horizon / eta:g}; "
            f"use e.g. eta = {horizon / max(steps, 1):g}"
        )
    if steps > _MOST_STEPS:
        raise InputError(f"T/eta = {steps} steps are too many; give at most {_MOST_STEPS}")
    return steps


def _test_functions(points: Array) -> Array:
    """Three smooth periodic test functions, shape ``(n^d, 3)``."""
    first, last = points[:, 0], points[:, -1]
    return np.stack([np.sin(first) + 0.5 * np.cos(last), np.exp(0.5 * np.cos(first - 1)), np.cos(2 * last + 0.3)], 1)


def _weak_error(
    landscape: TiltedTorus, sde: SDE, rho: float, eta: float, steps: int, grid: TorusGrid, values: Values | None
) -> float:
    """Weak error over start points that do not depend on the grid, so that refining it changes its own error only."""
    x = torch.from_numpy(grid.points)[:, None]
    transition = grid.transition(exact_increments(landscape, sde.rule, x, rho, values).numpy(), eta)
    drift, covariance = drift_and_covariance(landscape, sde, x, rho, eta, values)
    generator = grid.generator(drift.numpy(), covariance.numpy(), eta)
    semigroup = expm(eta * generator)
    chain = flow = _test_functions(grid.points)
    starts = grid.interpolation(TorusGrid(grid.dim, _START_POINTS).points)
    worst = 0.0
    for _ in range(steps):
        chain, flow = transition @ chain, semigroup @ flow
        worst = np.maximum(worst, np.abs(starts @ (chain - flow)).max())  # keeps NaN
    if not np.isfinite(worst):
        raise InputError(
            f"rule '{sde.rule.name}' gives values that are not finite on this landscape; check its perturbation"
        )
    return float(worst)


def verify_on_torus(
    sde: SDE,
    *,
    landscape: TiltedTorus | None = None,
    etas: Sequence[float] = ETAS,
    horizon: float = 1.0,
    rho_scale: float = 0.8,
    resolution: int = 21,
    values: Values | None = None,
    expected: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> WeakOrder:
    """Measure the weak order of an SDE against its rule, exactly, on a tilted torus.

    For periodic ``phi`` the rule's ``E phi(x_k)`` is ``P^k phi`` with a dense matrix ``P``, and the SDE's is
    ``expm(k eta L) phi``; the largest difference over start points, test functions and ``k = 1 .. T/eta`` is the
    weak error, with no sampling noise.

    Args:
        sde: from :func:`derive` or :func:`truncate`; it has ``beta`` in ``rho = rho_scale * eta^beta``.
        landscape: default ``TiltedTorus.default(2)``.
        etas: at least two step sizes, decreasing; each divides ``horizon``.
        horizon: final time ``T``.
        rho_scale: ``c > 0`` (default as in theory, section 4).
        resolution: odd number of grid points per axis (ours: see ``discretisation`` of the result for its error).
        values: of the rule's parameters and frozen directions.
        expected: the order to be confirmed; default: the one that the derivation proves.
        progress: called with (done, total) before each step size.

    Raises:
        InputError: a nonpositive scale; step sizes that do not decrease or do not divide the horizon; a symbol of
            the rule without a value.

    Example:
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.sde import derive, find_rule, verify_on_torus
        >>> sde = derive(find_rule("sam"), weak_order=1, rho_exponent="1/2")
        >>> result = verify_on_torus(sde, landscape=TiltedTorus.default(1))
        >>> result.verdict, round(result.slopes[-1], 1)
        ('pass', 1.0)
    """
    if not isinstance(sde, SDE):
        raise InputError(f"found {type(sde).__name__}; expected an SDE: derive(rule, weak_order, rho_exponent)")
    if any(isinstance(node, Loss) for node in walk(sde.rule.direction)):
        raise InputError(f"rule '{sde.rule.name}' contains a loss, which is not periodic on a tilted torus")
    beta, rho_scale, horizon = float(sde.rho_exponent), float(rho_scale), float(horizon)
    etas = [float(eta) for eta in etas]
    if not (rho_scale > 0 and math.isfinite(rho_scale)):
        raise InputError(f"rho scale {rho_scale} is not positive; the perturbation radius rho must be > 0")
    if len(etas) < 2 or any(a <= b for a, b in itertools.pairwise(etas)):
        raise InputError(f"step sizes {list(etas)} must be at least two and decreasing; give e.g. 1/8,1/16,1/32")
    counts = [step_count(horizon, eta) for eta in etas]
    if not _SMALLEST_RHO <= rho_scale * etas[-1] ** beta <= rho_scale * etas[0] ** beta <= _LARGEST_RHO:
        raise InputError(
            f"rho = {rho_scale:g} eta^{beta:g} runs to {rho_scale * etas[-1] ** beta:.3g}; the perturbation radius "
            f"rho must stay within [{_SMALLEST_RHO:g}, {_LARGEST_RHO:g}] to be seen"
        )
    if landscape is None:
        landscape = TiltedTorus.default(2)
    if not isinstance(landscape, TiltedTorus):
        raise InputError(f"found {type(landscape).__name__}; the torus method needs a TiltedTorus")

    def error(index: int, grid: TorusGrid) -> float:
        eta = etas[index]
        rho = rho_scale * eta**beta
        return _weak_error(landscape, sde, rho, eta, counts[index], grid, values)

    grid = TorusGrid(landscape.dim, resolution)
    errors = []
    for index in range(len(etas)):
        progress(index, len(etas) + 1)
        errors.append(error(index, grid))
    progress(len(etas), len(etas) + 1)
    refined = error(len(etas) - 1, TorusGrid(landscape.dim, resolution + 4))
    discretisation = abs(refined - errors[-1]) / refined if refined > 0 else math.inf
    progress(len(etas) + 1, len(etas) + 1)

    slopes = observed_slopes(etas, errors)
    expected = float(sde.weak_order if expected is None else expected)
    tolerance = TOLERANCE * max(1.0, expected)
    verdict: Literal["pass", "fail", "inconclusive"] = "fail"
    if discretisation > _COARSE:
        verdict = "inconclusive"
    elif abs(slopes[-1] - expected) <= tolerance:
        verdict = "pass"
    return WeakOrder(
        sde.rule.name,
        sorted(sde.increments),
        sorted(sde.correction),
        sorted(sde.diffusion),
        beta,
        rho_scale,
        list(etas),
        errors,
        slopes,
        expected,
        tolerance,
        discretisation,
        verdict,
    )
