"""Recursions as text, landscapes on which their terms show, and slopes of exact moments."""

from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np

from eigensam.landscapes import Quadratic
from eigensam.sde import derive
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.algebra.terms import PARAMETER
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.statements import parse_statements
from eigensam.sde.weak_order.evidence import observed_slopes
from eigensam.sde.weak_order.recursion_moments import RecursionMoments, moment_sizes

HEAVY_BALL = "m = 9/10*m + g; x = x - eta*m"
USAM_BALL = "m = 9/10*m + grad(rho*g); x = x - eta*m"
NESTEROV = "m = 9/10*m + g; x = x - eta*(g + 9/10*m)"
SGD, USAM = "x = x - eta*g", "x = x - eta*grad(rho*g)"
FINE, FINER = (2.0**-10, 2.0**-12), (2.0**-12, 2.0**-14)
TOLERANCE = 0.1  # of slopes 1 and 2: far below half of their distance


def recursion(text, **settings):
    return Recursion("r", parse_statements(text, list(settings.get("schedules", {}))), **settings)


def derived(text, order=2, beta=1, **settings):
    return derive(recursion(text, **settings), order, beta)


@cache
def pulling(size=4, scale=10.0):
    """Minibatches of different curvature that pull in opposite directions: their noise and ``C`` are large."""
    curvatures = np.array([[0.1, 0.3], [0.6, 0.1], [0.2, 0.7], [0.5, 0.3]])[:size]
    pulls = scale * np.array([[-1.0, 0.2], [1.0, -0.4], [-0.4, 1.0], [0.6, -0.5]])[:size]
    return Quadratic(np.stack([np.diag(each) for each in curvatures]), centres=pulls / curvatures)


@cache
def random_quadratic(dim, size=3, seed=2):
    draw = np.random.default_rng(seed)
    roots = draw.standard_normal((size, dim, dim)) / dim**0.5
    hessians = 0.4 * roots @ roots.transpose(0, 2, 1) + 0.3 * np.eye(dim)
    return Quadratic(hessians, centres=2 * draw.standard_normal((size, dim)))


_MEASURED = {}


def slope(sde, f, order=2, etas=FINE, *, inside=False, shifted=True):
    """Of the last pair of step sizes; the chain of a recursion is run once for all SDEs that it is compared with."""
    key = sde.rule, f, order, inside, etas
    if key not in _MEASURED:
        _MEASURED[key] = RecursionMoments(sde, f, None, 1.0, order, inside=inside)
    moments = _MEASURED[key]
    moments.shifted = shifted
    times = moments.times(etas)
    errors = []
    for eta in etas:
        moments.check_step(eta)
        rho = 0.8 * eta ** float(sde.rho_exponent)
        difference = moments.chain(eta, rho, times) - moments.solution(sde, eta, rho, times)
        errors.append(float(moment_sizes(difference).max()))
    return observed_slopes(etas, errors)[-1]


def times(part, factor):
    return {k: value * Fraction(factor) for k, value in part.items()}


def without_rates(sde):
    """Wrong on purpose: no derivatives of schedules."""
    names = {(PARAMETER, f"{name}'") for name in sde.rule.schedules}
    kept = {
        k: Sum({term: c for term, c in value.terms.items() if not any(atom in names for atom, _ in term[1])})
        for k, value in sde.correction.items()
    }
    return replace(sde, correction=kept)


def without_pairs(sde):
    """Wrong on purpose: no ``kappa C``."""
    pairs = sde.parts.epochs(1).correction
    return replace(sde, correction={k: value - pairs.get(k, Sum()) for k, value in sde.correction.items()})
