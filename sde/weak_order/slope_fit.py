"""An order from noisy errors, with an interval; never one out of noise."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri  # scipy.stats calls the same, and takes a second to load

__all__ = ["SlopeFit", "fit_slope", "resolved"]

Array = NDArray[np.float64]

RESOLVED = 5.0
"""Standard errors above which an error is told from zero, and its logarithm is close to normal (ours)."""


@dataclass(frozen=True)
class SlopeFit:
    """A slope of ``log |e|`` against ``log eta``.

    Attributes:
        slope: its value.
        half_width: of its interval.
        last: index of the smaller step size; the other is its neighbour.
    """

    slope: float
    half_width: float
    last: int

    def __str__(self) -> str:
        return f"slope {self.slope:.3f} +- {self.half_width:.2g}"

    def to_dict(self) -> dict[str, float]:
        """A JSON-ready dictionary."""
        return asdict(self)


def resolved(errors: Array, covariance: Array) -> list[int]:
    """Indices of the errors that stand out of their noise."""
    standard = np.sqrt(np.diag(covariance))
    return [i for i, (e, s) in enumerate(zip(errors, standard, strict=True)) if abs(e) > RESOLVED * s]


def fit_slope(etas: Sequence[float], errors: Array, covariance: Array, confidence: float) -> SlopeFit | None:
    """The slope between the two smallest resolved step sizes; None if these are not neighbours.

    The covariance of ``log |e_i|`` is ``C_ij / (e_i e_j)`` to first order; with noise shared between step sizes it is
    far from diagonal, and the interval of the slope is that of the whole matrix.

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
    last = max(usable, default=0)
    levels = [last - 1, last]
    if not set(levels) <= set(usable) or errors[last - 1] * errors[last] < 0:
        return None
    e, logs = errors[levels], np.log(np.asarray(etas)[levels])
    weights = np.array([1.0, -1.0]) / (logs[0] - logs[1])
    relative = covariance[np.ix_(levels, levels)] / np.outer(e, e)
    half_width = ndtri(0.5 + confidence / 2) * np.sqrt(max(0.0, weights @ relative @ weights))
    return SlopeFit(float(weights @ np.log(np.abs(e))), float(half_width), last)
