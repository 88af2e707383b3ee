"""Weak order on tilted tori, without Monte-Carlo noise (theory, sections 3 and 4)."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...landscapes import InputError, TiltedTorus
from ..coefficients import drift_and_covariance, exact_increments
from ..symbolic.bindings import Values
from ..symbolic.derivation import SDE
from ..symbolic.language import Loss, walk
from .claim import ETAS, TOLERANCE, Claim, Progress, TestFunctions, WeakOrder, step_count
from .divisors import check_divisors, divisor_values, divisors
from .evolution import Evolution
from .torus_grid import TorusGrid

__all__ = ["Coefficients", "periodic_test_functions", "verify_on_torus"]

Coefficients = Callable[..., tuple[Tensor, Tensor]]
"""Maps (landscape, sde, x, rho, eta, values) to drift, ``(N, d)``, and covariance, ``(N, d, d)``."""

_START_POINTS = {1: 31, 2: 31, 3: 9}  # per axis
_TIMES = 8  # at which chain and SDE are compared

_GROWTH = 1.25  # of the resolution, from one attempt to the next
_FIRST = {1: 17, 2: 13, 3: 9}
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
    etas: Sequence[float] = ETAS,
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
    operator is ever a matrix, so ``eta = 2^-14`` and three dimensions are routine.

    Args:
        sde: from :func:`derive` or :func:`truncate`; it has ``beta`` in ``rho = rho_scale * eta^beta``.
        landscape: default ``TiltedTorus.default(2)``.
        etas: at least two step sizes, decreasing; each divides ``horizon``.
        horizon: final time ``T``.
        rho_scale: ``c > 0`` (default as in theory, section 4).
        resolution: odd number of grid points per axis; by default it grows until the last error has settled.
        memory: bytes that a grid's operators may take.
        values: of the rule's parameters and frozen directions.
        test_functions: maps points ``(N, d)`` to periodic functions ``(N, K)``.
        coefficients: drift and covariance of the SDE, to verify an implementation of one's own: the signature of
            :func:`drift_and_covariance`, which is the default.
        expected: the order to be confirmed; default: the one that the derivation proves.
        progress: called with (done, total) after each step size.

    Returns:
        With the details ``horizon``, ``resolution``, ``discretisation`` (relative change of the last error from the
        grid before, which is at least four points per axis coarser), ``rounding`` (a generous estimate of the
        rounding error) and ``divisors`` (see :func:`divisors`). The verdict is ``inconclusive`` where the grid or
        rounding cannot tell.

    Raises:
        InputError: a nonpositive scale; step sizes that do not decrease or do not divide the horizon; a symbol of
            the rule without a value; a test function that is not periodic; a landscape where the rule divides by
            zero; a resolution that does not fit into memory.

    Example:
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.sde import derive, find_rule, verify_on_torus
        >>> sde = derive(find_rule("sam"), weak_order=1, rho_exponent="1/2")
        >>> result = verify_on_torus(sde, landscape=TiltedTorus.default(1))
        >>> result.verdict, round(result.slope, 1)
        ('pass', 1.0)
    """
    landscape = TiltedTorus.default(2) if landscape is None else landscape
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
    times = _common_times(horizon, counts)
    _check_periodic(test_functions, landscape)
    torus = _Torus(claim, landscape, times, test_functions, coefficients)
    rounding = _ROUNDING * float(test_functions(torus.starts.points).abs().max())

    total = len(claim.etas) + 1
    n, after, discretisation = torus.settled(rounding, memory) if resolution is None else torus.at(resolution, memory)
    progress(1, total)
    errors = []
    for index, eta in enumerate(claim.etas[:-1]):
        errors.append(torus.error(eta, n))
        progress(2 + index, total)
    errors.append(after)
    progress(total, total)

    doubt = torus.may_vanish(n)
    if rounding > _COARSE * errors[-1]:
        doubt = f"the last error {errors[-1]:.2g} is not far above rounding, {rounding:.2g}; use larger step sizes"
    elif discretisation > _COARSE:
        doubt = (
            f"the last error still changes by {discretisation:.2g} of itself at resolution {n}; "
            + (
                "give a larger one"
                if resolution is not None
                else f"the next grid needs {torus.bytes(_next(n)) / 2**30:.2g} GiB and {torus.work(_next(n)):.2g} "
                "multiplications per application: use a smoother landscape or larger step sizes"
            )
            + (f"; {doubt}" if doubt else "")
        )
    return claim.found(
        "torus",
        errors,
        doubt,
        horizon=horizon,
        resolution=n,
        discretisation=discretisation,
        rounding=rounding,
        divisors=[vars(d) for d in torus.found],
    )


class _Torus:
    """Weak errors of a claim, by step size and resolution."""

    def __init__(
        self,
        claim: Claim,
        landscape: TiltedTorus,
        times: list[float],
        test_functions: TestFunctions,
        coefficients: Coefficients,
    ) -> None:
        self.claim, self.landscape, self.times = claim, landscape, times
        self.test_functions, self.coefficients = test_functions, coefficients
        grid = TorusGrid(landscape.dim, _START_POINTS[landscape.dim], landscape.device)
        eta = claim.etas[0]
        self.starts = grid
        self.found = divisors(claim.sde.rule, landscape, grid.points[:, None], claim.rho(eta), eta, claim.values)
        check_divisors(self.found, claim.sde.rule)

    def settled(self, rounding: float, memory: float) -> tuple[int, float, float]:
        """A resolution at which the last error has settled, or the largest possible; that error; its last change."""
        eta, n = self.claim.etas[-1], max(_FIRST[self.landscape.dim], self._least())
        if not self._possible(_next(n), memory):
            raise InputError(
                f"the landscape's waves need a resolution of {n}: {self.bytes(n) / 2**30:.3g} GiB and "
                f"{self.work(n):.2g} multiplications per application; use lower frequencies or larger memory"
            )
        error, change = self.error(eta, n), math.inf
        while self._possible(_next(n), memory):
            n, before = _next(n), error
            error = self.error(eta, n)
            change = _change(before, error)
            if change <= _COARSE or rounding > _COARSE * error:  # settled, or nothing there to settle
                break
        return n, error, change

    def at(self, resolution: int, memory: float) -> tuple[int, float, float]:
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
        before, error = (self.error(self.claim.etas[-1], each) for each in (resolution, n))
        return n, error, _change(before, error)

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
                return (
                    f"rule '{claim.sde.rule.name}' needs {name} away from 0, which is {size:.3g} at a point of a grid "
                    f"where it moves by {size - float(gap.min()):.3g} to the next one: it may vanish in between, and "
                    "the assumptions of the theorem with it"
                )
        return ""

    def work(self, resolution: int) -> float:
        """Multiplications of one application of the chain's operator to one function."""
        return float(self.landscape.size) * float(resolution) ** (2 * self.landscape.dim)

    def bytes(self, resolution: int) -> float:
        """Of the interpolation's kernels, of coefficients and their derivation."""
        d, size = self.landscape.dim, self.landscape.size
        return 8 * float(resolution) ** d * size * d * (2 * resolution + 60)

    def error(self, eta: float, resolution: int) -> float:
        """The largest difference over start points that do not depend on the grid, test functions and times."""
        claim, landscape = self.claim, self.landscape
        grid = TorusGrid(landscape.dim, resolution, landscape.device)
        x, rho = grid.points[:, None], claim.rho(eta)
        h = exact_increments(landscape, claim.sde.rule, x, rho, claim.values)
        drift, covariance = self.coefficients(landscape, claim.sde, x, rho, eta, claim.values)
        if not all(bool(t.isfinite().all()) for t in (h, drift, covariance)):
            raise InputError(
                f"rule '{claim.sde.rule.name}' gives values that are not finite on this landscape; check its "
                "perturbation"
            )
        work = self.times[-1] * float(h.abs().max()) * resolution  # the series has some applications per unit of it
        if work > _MOST_APPLICATIONS:
            raise InputError(
                f"increments of {float(h.abs().max()):.3g} move {work:.2g} grid points until T = {self.times[-1]:g}, "
                f"at most {_MOST_APPLICATIONS:.0e} are computed: give a shorter T or smaller tilts"
            )
        chain = Evolution(grid.chain(h, eta), eta)
        flow = Evolution(grid.generator(drift, covariance, eta))
        chained = flowed = self.test_functions(grid.points)
        worst = now = 0.0
        for time in self.times:
            chained, flowed = chain.advance(chained, time - now), flow.advance(flowed, time - now)
            difference = float(grid.resampled(chained - flowed, self.starts).abs().max())
            worst, now = max(worst, difference) if difference >= 0 else math.nan, time
        return worst


def _common_times(horizon: float, counts: list[int]) -> list[float]:
    """At most eight equally spaced times up to the horizon that are whole numbers of steps for every step size."""
    common = math.gcd(*counts)
    parts = max(k for k in range(1, _TIMES + 1) if common % k == 0)
    return [horizon * (k + 1) / parts for k in range(parts)]


def _change(before: float, after: float) -> float:
    return abs(after - before) / after if after > 0 else math.inf


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
