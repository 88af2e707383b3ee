"""Both ends of the spectrum, with a stated probability, from the Lanczos coefficients (a-posteriori bound)."""

import math
from collections.abc import Sequence

import numpy as np

from ...ground.errors import InputError
from .chebyshev_bound import chebyshev_bound, least_overlap
from .spectrum_bound import SpectrumBound

__all__ = ["ritz_bound"]

_HALVINGS = 100  # of an interval of logarithms: far below rounding


def ritz_bound(
    ritz_values: Sequence[float],
    off_diagonal: Sequence[float],
    dim: int,
    delta: float,
    *,
    semidefinite: bool = False,
) -> SpectrumBound:
    """An interval that holds the spectrum with probability ``1 - delta`` over the start vector, in exact arithmetic.

    After ``k`` Lanczos steps from ``b`` with Ritz values ``theta_i`` and norms ``beta_1 ... beta_k`` (the last one that
    of the remainder), ``p(t) = (t - theta_1) ... (t - theta_k)`` satisfies ``p(A) b = beta_1 ... beta_k v_(k+1)``.
    Its component along the first eigenvector is ``p(lambda_1) <b, v_1>``, so

        ``(lambda_1 - theta_1) ... (lambda_1 - theta_k) <= beta_1 ... beta_k / |<b, v_1>|``,

    and the left side rises with ``lambda_1 >= theta_1``. For ``b`` uniform on the sphere ``|<b, v_1>|`` is below
    ``c_q`` with probability ``q`` only, whatever ``k``; the root with ``c_q`` bounds ``lambda_1``. The same for ``-A``
    bounds ``lambda_n``. It is the same event as in :func:`chebyshev_bound`, so the narrower of both intervals is
    returned at no further cost in ``delta``: that one is better early, this one once the ends have settled (the margin
    is then about ``|<b, v_1>| / c_q`` residuals). A closed Krylov space, ``beta_k = 0``, gives ``[theta_k, theta_1]``.

    Args:
        ritz_values: ``theta_1 ... theta_k``, in any order.
        off_diagonal: ``beta_1 ... beta_k``, none negative.
        dim: ``d``.
        delta: probability of failure, in (0, 1).
        semidefinite: whether ``lambda_n >= 0`` is known; ``q`` is then ``delta`` and not ``delta/2``, and the lower end
            is 0, which is certain.

    Raises:
        InputError: lists of different or no length, a number out of its range.

    Reference:
        Van Dorsselaer, Hochstenbach & van der Vorst, Computing probabilistic bounds for extreme eigenvalues of
        symmetric matrices with the Lanczos method, SIAM J. Matrix Anal. Appl. 22 (2000): bounds by Lanczos polynomials.

    Example:
        Ritz values 3 and 0.1, a remainder of 1e-3:

        >>> bound = ritz_bound([3.0, 0.1], [0.1, 1e-3], dim=1000, delta=0.05)
        >>> round(bound.upper, 3)
        3.034
    """
    if not 1 <= len(ritz_values) == len(off_diagonal):
        raise InputError(
            f"{len(ritz_values)} Ritz values and {len(off_diagonal)} norms; expected one norm for each value"
        )
    if not all(beta >= 0 for beta in off_diagonal):
        raise InputError(f"norms {list(off_diagonal)} hold a negative number or NaN")
    theta = sorted(ritz_values)
    first = chebyshev_bound(theta[0], theta[-1], dim, len(theta), delta, semidefinite=semidefinite)
    if 0.0 in off_diagonal:
        upper_margin = lower_margin = 0.0
    else:
        overlap = least_overlap(dim, delta if semidefinite else delta / 2)
        target = sum(map(math.log, off_diagonal)) - math.log(overlap)
        upper_margin = _margin([theta[-1] - t for t in theta[:-1]], target)
        lower_margin = _margin([t - theta[0] for t in theta[1:]], target)
    upper = min(first.upper, theta[-1] + upper_margin)
    if semidefinite:
        return SpectrumBound(0.0, max(0.0, upper), delta)
    return SpectrumBound(max(first.lower, theta[0] - lower_margin), upper, delta)


def _margin(distances: list[float], target: float) -> float:
    """The ``g`` with ``log(g) + sum_i log(g + distance_i) = target``, rounded up."""
    apart = np.array(distances)
    high = target / (len(distances) + 1)  # as if all distances were 0
    low = target - len(distances) * math.log(math.exp(high) + max(distances, default=0.0))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        g = math.exp(middle)
        if middle + float(np.log(g + apart).sum()) < target:
            low = middle
        else:
            high = middle
    return math.exp(high)
