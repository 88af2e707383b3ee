"""How far the mean of an observable along an SDE is from that along the rule, over a run and at each look."""

from dataclasses import dataclass

import numpy as np

from ....ground.errors import InputError
from ....ground.intervals import student_quantile
from .path_series import Array
from .squared_norms import NO_JACKKNIFE, SquaredNorm, half_widths, squared_norm

__all__ = ["Contrast", "WeakDistance", "contrast", "time_shares", "weak_distance"]


@dataclass(frozen=True)
class WeakDistance:
    """The weak distance of a process to the rule in one observable: an estimate.

    It estimates ``e``, where ``e^2 = (1/T) sum_k (t_k - t_{k-1}) (E phi(X(t_k)) - E phi(x_k))^2`` over the looks after
    the start: the root mean square over time of the difference of means. With looks at equal distances that is the mean
    over them. Differences do not cancel over time, and noise of the paths adds none: the U-statistic over pairs of
    different paths is unbiased for ``e^2``. What is measured is all that separates both processes: what the SDE leaves
    out *and* the error of order eta that any SDE has beside a discrete rule, the error of its own substeps, and, for
    observables that are estimated themselves, the error of that estimate. Only against a process with the rule's exact
    drift, run beside, can they be told apart.

    Intervals suppose that paths are independent of each other and that means of that many are about normal. Skewed
    observables of few paths, as a loss that a rare path sends up, are covered less often than stated.

    Attributes:
        value: ``e``; with one path the plain root mean square of the difference, of which noise is a part.
        low: lower end of its interval; None with fewer than three paths.
        high: upper end.
        squared: ``e^2``, not clipped at 0.
        paths: how many.
        confidence: of each interval alone.
        difference: ``E Delta(t)``, the mean difference at each look, shape ``(L,)``.
        difference_low: lower ends of Student's interval of it at each look; None with one path.
        difference_high: upper ends.
    """

    value: float
    low: float | None
    high: float | None
    squared: float
    paths: int
    confidence: float
    difference: Array
    difference_low: Array | None
    difference_high: Array | None

    @property
    def resolved(self) -> bool:
        """Whether it is larger than 0 beyond chance."""
        return self.low is not None and self.low > 0

    @property
    def remark(self) -> str:
        """Why there is no interval; empty if there is one."""
        if self.low is not None:
            return ""
        if self.paths == 1:
            return "no interval: one path, whose noise is part of the distance"
        return "no interval: it takes 3 paths"


@dataclass(frozen=True)
class Contrast:
    """``factor e_a^2 - e_b^2`` in one observable: below 0 where process a is closer.

    Attributes:
        value: the estimate, unbiased.
        low: lower end; None with fewer than three paths.
        high: upper end.
        factor: 1, or 4 where the question is whether a is at most half as far as b.
    """

    value: float
    low: float | None
    high: float | None
    factor: float

    @property
    def sign(self) -> int:
        """-1: a is closer; 1: b is; 0: not resolved."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def time_shares(times: Array) -> Array:
    """The share of the run before each look after the start, shape ``(L - 1,)``; they sum to 1.

    Example:
        >>> time_shares(np.array([0.0, 1.0, 4.0])).tolist()
        [0.25, 0.75]
    """
    shares: Array = np.diff(times) / times[-1]
    return shares


def weak_distance(differences: Array, times: Array, confidence: float = 0.95) -> WeakDistance:
    """The distance that paired differences show.

    Args:
        differences: ``Delta_i(t)`` of independent paths, shape ``(n, L)``.
        times: of the looks, from 0, shape ``(L,)``.
        confidence: of each interval alone.

    Raises:
        InputError: a confidence outside (0, 1).

    Example:
        >>> noise = np.array([[0.0, -0.1], [0.0, 0.0], [0.0, 0.1], [0.0, 0.2], [0.0, -0.2]])
        >>> found = weak_distance(1.0 + noise, np.array([0.0, 1.0]))
        >>> round(found.value, 4), round(found.low, 3), round(found.high, 3)
        (0.9975, 0.776, 1.196)
    """
    _check(confidence)
    n = len(differences)
    mean = differences.mean(0)
    if n == 1:
        squared = float(mean[1:] ** 2 @ time_shares(times))
        return WeakDistance(squared**0.5, None, None, squared, 1, confidence, mean, None, None)
    spread = student_quantile(n, confidence) * differences.std(0, ddof=1) / n**0.5
    paths = _Deviations.of(differences, times)
    found = paths.squared_norm(confidence)
    value, low, high = found.roots
    return WeakDistance(value, low, high, found.value, n, confidence, mean, mean - spread, mean + spread)


def contrast(a: Array, b: Array, times: Array, confidence: float = 0.95, factor: float = 1.0) -> Contrast:
    """Which of two processes is closer to the rule: ``factor e_a^2 - e_b^2``.

    Paths are paired: noise that both share, as that of the rule, cancels in the influence of each path. The statistic
    is ``<P, S>``, ``P`` and ``S`` the means of ``sqrt(factor) Delta_a -+ Delta_b``; beside the jackknife the
    interval has an addition for what is quadratic in the noise, ``<noise_P, noise_S>``, to both sides, as of
    :func:`~eigensam.sde.simulation.comparison.squared_norms.half_widths`.

    Args:
        a: differences of process a to the rule, shape ``(n, L)``.
        b: those of process b, path by path.
        times: of the looks, from 0.
        confidence: of the interval.
        factor: 1, or 4: whether ``e_a <= e_b / 2``.

    Raises:
        InputError: a confidence outside (0, 1).

    Example:
        >>> noise = np.array([[0.0, -0.1], [0.0, 0.0], [0.0, 0.1], [0.0, 0.2], [0.0, -0.2]])
        >>> contrast(noise, 1.0 + noise, np.array([0.0, 1.0])).sign
        -1
    """
    _check(confidence)
    if len(a) == 1:
        value = float((factor * a[0, 1:] ** 2 - b[0, 1:] ** 2) @ time_shares(times))
        return Contrast(value, None, None, factor)
    ours, theirs = _Deviations.of(factor**0.5 * a, times), _Deviations.of(b, times)
    value = ours.unbiased - theirs.unbiased
    if len(a) < NO_JACKKNIFE:
        return Contrast(value, None, None, factor)
    minus, plus = ours.noise - theirs.noise, ours.noise + theirs.noise
    width, addition = half_widths(ours.influence - theirs.influence, _mean_square(minus, plus), confidence)
    return Contrast(value, value - width - addition, value + width + addition, factor)


@dataclass(frozen=True)
class _Deviations:
    """Differences as vectors whose squared norm is the mean square over time.

    Attributes:
        mean: shape ``(L - 1,)``.
        noise: ``Delta_i - mean``, shape ``(n, L - 1)``.
        squares: its squared norms, shape ``(n,)``.
    """

    mean: Array
    noise: Array
    squares: Array

    @classmethod
    def of(cls, differences: Array, times: Array) -> "_Deviations":
        vectors = differences[:, 1:] * time_shares(times) ** 0.5
        mean = vectors.mean(0)
        vectors -= mean
        return cls(mean, vectors, np.einsum("nl,nl->n", vectors, vectors))

    @property
    def unbiased(self) -> float:
        """``sum_{i != j} <Delta_i, Delta_j> / (n (n - 1)) = |m|^2 - tr(S) / n``: nothing large cancels."""
        n = len(self.noise)
        return float(self.mean @ self.mean - self.squares.sum() / (n * (n - 1)))

    @property
    def influence(self) -> Array:
        """``(n - 1) (U - U_{-i})`` up to a constant: what leaving one path out does, in one pass."""
        influence: Array = 2 * (self.noise @ self.mean) - 2 * self.squares / (len(self.noise) - 2)
        return influence

    def squared_norm(self, confidence: float) -> SquaredNorm:
        if len(self.noise) < NO_JACKKNIFE:
            return SquaredNorm(self.unbiased, None, None)
        return squared_norm(self.unbiased, self.influence, _mean_square(self.noise, self.noise), confidence)


def _mean_square(minus: Array, plus: Array) -> float:
    """Mean square of ``(<p_i, s_j> + <s_i, p_j>) / 2`` over pairs, by covariances: ``(tr AB + tr C C) / 2``."""
    degrees = len(minus) - 1
    own, other, cross = minus.T @ minus, plus.T @ plus, minus.T @ plus
    return float(np.vdot(own, other) + np.vdot(cross, cross.T)) / (2 * degrees**2)


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence} is out of range; give a number between 0 and 1")
