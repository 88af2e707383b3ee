"""Where the paths of a process lie: their mean with its interval, and a band that holds many of them."""

from dataclasses import dataclass

import numpy as np

from ....ground.intervals import student_quantile
from .path_series import Array

__all__ = ["Band", "band", "band_name"]

_SHARE = 0.9  # ours
_MANY = 20  # ours: below, a quantile at 5 % is less than one path


@dataclass(frozen=True)
class Band:
    """Of an observable at each look, each of shape ``(L,)``.

    Attributes:
        mean: over paths.
        mean_low: lower end of Student's interval of the mean; None with one path.
        mean_high: upper end.
        low: the 5 % quantile of the paths; with fewer than 20 their least value.
        high: the 95 % quantile, or the greatest.
    """

    mean: Array
    mean_low: Array | None
    mean_high: Array | None
    low: Array
    high: Array


def band(values: Array, confidence: float = 0.95) -> Band:
    """Of values of shape ``(paths, L)``.

    Example:
        >>> found = band(np.array([[1.0, 2.0], [1.0, 4.0]]))
        >>> found.mean.tolist(), found.low.tolist(), found.high.tolist()
        ([1.0, 3.0], [1.0, 2.0], [1.0, 4.0])
    """
    n = len(values)
    mean = values.mean(0)
    if n < _MANY:
        low, high = values.min(0), values.max(0)
    else:
        low, high = np.quantile(values, [(1 - _SHARE) / 2, (1 + _SHARE) / 2], axis=0)
    if n == 1:
        return Band(mean, None, None, low, high)
    width = student_quantile(n, confidence) * values.std(0, ddof=1) / n**0.5
    return Band(mean, mean - width, mean + width, low, high)


def band_name(paths: int) -> str:
    """What lies in the band.

    Example:
        >>> band_name(5), band_name(100)
        ('all 5 paths', '90 % of the paths')
    """
    return f"all {paths} paths" if paths < _MANY else f"{100 * _SHARE:g} % of the paths"
