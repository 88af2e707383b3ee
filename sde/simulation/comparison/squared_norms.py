"""The squared norm of a mean difference, without the bias of noise, and an interval that holds near zero, too."""

from dataclasses import dataclass

import numpy as np

from ....ground.intervals import student_quantile
from .path_series import Array

__all__ = ["NO_JACKKNIFE", "SquaredNorm", "half_widths", "squared_norm"]

NO_JACKKNIFE = 3  # paths: leaving out one of two leaves no pair


@dataclass(frozen=True)
class SquaredNorm:
    """An estimate of ``|mu|^2``, ``mu`` the mean of independent ``Delta_i``, which may be vectors or functions.

    Attributes:
        value: the U-statistic ``U``, the mean of ``<Delta_i, Delta_j>`` over ``i != j``; unbiased, so it may be
            negative.
        low: lower end of its interval; None where there are fewer than three paths.
        high: upper end.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def roots(self) -> tuple[float, float | None, float | None]:
        """``|mu|``: square roots of value and ends, which are clipped at 0."""
        value, low, high = (None if x is None else max(x, 0.0) ** 0.5 for x in (self.value, self.low, self.high))
        assert value is not None
        return value, low, high


def half_widths(influence: Array, degenerate: float, confidence: float) -> tuple[float, float]:
    """How far an interval of a quadratic statistic reaches: by the jackknife, and what must be added to it.

    The jackknife sees what is linear in the noise, ``2 <mu, noise>``. Where ``mu`` is not much larger than the noise of
    the mean, what is quadratic in the noise counts as much, and where the noise happens to cancel ``mu`` its
    width shrinks along with the estimate: on its own it stays below up to a quarter of such truths. For a single number
    ``mu`` with ``m`` its mean and ``s`` the standard error, Student's interval reaches up to
    ``(|m| + t s)^2 = U + 2 t |m| s + (t^2 + 1) s^2``: the jackknife has the second term, and the third is added here,
    with the root mean square of ``<noise_i, noise_j>`` over n in place of ``s^2``.

    Args:
        influence: ``(n - 1)`` times what the statistic loses when a path is left out, shape ``(n,)``, up to a constant.
        degenerate: mean square of ``<noise_i, noise_j>``.
        confidence: of an interval with both ends.

    Returns:
        The jackknife's half width, and the addition.
    """
    n = len(influence)
    t = student_quantile(n, confidence)
    deviations = influence - influence.mean()
    jackknife = t * float(np.sqrt(deviations @ deviations / (n * (n - 1))))
    return jackknife, (t * t + 1) * max(degenerate, 0.0) ** 0.5 / n


def squared_norm(value: float, influence: Array, degenerate: float, confidence: float) -> SquaredNorm:
    """The estimate with its interval ``[U - w, U + w + a]``: to below the jackknife alone is wide enough.

    Args:
        value: the U-statistic.
        influence: as of :func:`half_widths`.
        degenerate: as there.
        confidence: of the interval.

    Raises:
        InputError: a confidence outside (0, 1).
    """
    if len(influence) < NO_JACKKNIFE:
        return SquaredNorm(value, None, None)
    width, addition = half_widths(influence, degenerate, confidence)
    return SquaredNorm(value, value - width, value + width + addition)
