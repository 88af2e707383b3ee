"""An order from noisy errors, with an interval; never one out of noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

__all__ = ["SlopeFit", "fit_slope", "resolved"]

Array = NDArray[np.float64]

RESOLVED = 5.0
"""Standard errors above which an error is told from zero, and its logarithm is close to normal (ours)."""

_MOST_LEVELS = 3  # the smallest resolved step sizes: larger ones are further from the asymptotic slope


@dataclass(frozen=True)
class SlopeFit:
    """A line through ``log |e|`` against ``log eta``.

    Attributes:
        slope: of generalised least squares, which weighs by the errors' joint covariance.
        half_width: of its interval.
        levels: indices of the step sizes used.
    """

    slope: float
    half_width: float
    levels: tuple[int, ...]


def resolved(errors: Array, covariance: Array) -> list[int]:
    """Indices of the errors that stand out of their noise."""
    standard = np.sqrt(np.diag(covariance))
    return [i for i, (e, s) in enumerate(zip(errors, standard, strict=True)) if abs(e) > RESOLVED * s]


def fit_slope(etas: Sequence[float], errors: Array, covariance: Array, confidence: float) -> SlopeFit | None:
    """Fit the smallest resolved step sizes, at most three; None if there are not two neighbours.

    The covariance of ``log |e_i|`` is ``C_ij / (e_i e_j)`` to first order; with noise shared between step sizes it is
    far from diagonal.

    Args:
        etas: step sizes, decreasing.
        errors: signed errors.
        covariance: of the errors.
        confidence: of the interval.

    Example:
        >>> import numpy as np
        >>> fit = fit_slope([0.5, 0.25], np.array([0.2, 0.05]), 1e-8 * np.eye(2), 0.95)
        >>> round(fit.slope, 6), round(fit.half_width, 4)
        (2.0, 0.0058)
    """
    usable = resolved(errors, covariance)
    last = max(usable, default=-1)
    levels = list(range(max(0, last - _MOST_LEVELS + 1), last + 1))
    while levels and not set(levels) <= set(usable):
        levels = levels[1:]
    if len(levels) < 2 or len({np.sign(errors[i]) for i in levels}) > 1:
        return None
    e = errors[levels]
    logs = covariance[np.ix_(levels, levels)] / np.outer(e, e)
    design = np.stack([np.ones(len(levels)), np.log(np.asarray(etas)[levels])], 1)
    inverse = np.linalg.pinv(logs)
    spread = np.linalg.pinv(design.T @ inverse @ design)
    slope = float((spread @ design.T @ inverse @ np.log(np.abs(e)))[1])
    half_width = float(norm.ppf(0.5 + confidence / 2) * np.sqrt(spread[1, 1]))
    return SlopeFit(slope, half_width, tuple(levels))
