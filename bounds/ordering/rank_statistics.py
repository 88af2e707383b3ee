"""Rank correlation of measures with generalisation: intervals over configurations, and what would explain it away."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Axes",
    "Groups",
    "bootstrap_counts",
    "conditional_sign_error",
    "granulated_tau",
    "kendall_tau",
    "partial_tau",
    "permutation_p",
    "spearman",
]

Array = NDArray[np.float64]
Axes = Mapping[str, Sequence[object]]
"""The value of each hyper-parameter, the seed included, for each model."""

Groups = Sequence[Sequence[int]]
"""Indices of the models of each configuration: they share all but the seed."""


def _signs(x: Array) -> Array:
    return np.sign(x[:, None] - x[None, :])


def kendall_tau(x: Array, y: Array, counts: Array | None = None) -> Array:
    """Kendall's ``tau_b``, with ties: ``sum s_ij t_ij / (sum s_ij^2 sum t_ij^2)^(1/2)``, signs of differences.

    Args:
        x: one number for each of ``n`` models.
        y: likewise.
        counts: how often each model occurs in each of ``B`` resamples, ``(B, n)``; default: once, in one.

    Returns:
        Of each resample, ``(B,)``; NaN where all are tied.

    Example:
        >>> import numpy as np
        >>> round(float(kendall_tau(np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0]))[0]), 4)
        0.5477
    """
    weights = np.ones((1, len(x))) if counts is None else counts
    s, t = _signs(np.asarray(x)), _signs(np.asarray(y))

    def total(pairs: Array) -> Array:
        return np.asarray(((weights @ pairs) * weights).sum(1))

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total(s * t) / np.sqrt(total(s * s) * total(t * t)))


def spearman(x: Array, y: Array) -> float:
    """Spearman's rank correlation, with mean ranks of ties."""
    from scipy.stats import rankdata

    a, b = (rankdata(each) - (len(x) + 1) / 2 for each in (x, y))
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale else math.nan


def bootstrap_counts(groups: Groups, resamples: int, seed: int) -> Array:
    """Configurations drawn with replacement, each with all its seeds: ``(B, n)``.

    Models of one configuration share what the optimizer did, so models drawn one by one would give intervals that are
    too short.
    """
    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, sum(map(len, groups))))
    for row in counts:
        drawn = np.bincount(rng.integers(len(groups), size=len(groups)), minlength=len(groups))
        for times, members in zip(drawn, groups, strict=True):
            row[list(members)] = times
    return counts


def partial_tau(xy: Array, xz: Array, yz: Array) -> Array:
    """Kendall's partial correlation of ``x`` and ``y`` given ``z``: ``(xy - xz yz) / ((1 - xz^2)(1 - yz^2))^(1/2)``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)))


def permutation_p(x: Array, y: Array, groups: Groups, resamples: int, seed: int) -> float:
    """Two-sided p-value of ``tau`` between means over seeds, the configurations of ``y`` permuted."""
    means = [np.array([each[list(members)].mean() for members in groups]) for each in (x, y)]
    rng = np.random.default_rng(seed)
    s, t = _signs(means[0]), _signs(means[1])
    observed, extreme = abs(float((s * t).sum())), 0
    for _ in range(resamples):
        p = rng.permutation(len(groups))
        extreme += abs(float((s * t[p][:, p]).sum())) >= observed - 1e-9
    return (1 + extreme) / (1 + resamples)


@dataclass(frozen=True)
class AxisTau:
    """Along one hyper-parameter, all others fixed.

    Attributes:
        tau: mean of ``tau`` over the fixed ones.
        groups: how many there were with at least two values.
    """

    tau: float
    groups: int


def granulated_tau(x: Array, y: Array, axes: Axes) -> tuple[float, dict[str, AxisTau]]:
    """Jiang et al.'s granulated coefficient: for each hyper-parameter ``tau`` among models that differ in it alone.

    Their mean over the hyper-parameters; a measure that only reflects one of them has a high ``tau`` along it and
    none along the others, whatever its ``tau`` over all models is.

    Args:
        x: of ``n`` models.
        y: likewise.
        axes: the value of each hyper-parameter, the seed included, for each model.

    Reference:
        Jiang, Neyshabur, Mobahi, Krishnan and Bengio, Fantastic generalization measures and where to find them, ICLR
        2020, equation 7.
    """
    found = {}
    for axis, values in axes.items():
        if axis == "seed":
            continue
        fixed: dict[tuple[object, ...], list[int]] = {}
        for i in range(len(x)):
            fixed.setdefault(tuple(axes[other][i] for other in axes if other != axis), []).append(i)
        several = [rows for rows in fixed.values() if len({values[i] for i in rows}) > 1]
        taus = [tau for rows in several if not math.isnan(tau := float(kendall_tau(x[rows], y[rows])[0]))]
        if taus:
            found[axis] = AxisTau(float(np.mean(taus)), len(taus))
    mean = float(np.mean([each.tau for each in found.values()])) if found else math.nan
    return mean, found


def conditional_sign_error(x: Array, y: Array, y_error: Array, axes: Axes) -> dict[str, tuple[float, int]]:
    """How often a measure orders a pair that differs in one hyper-parameter alone wrongly, for each of these.

    Pairs whose difference in generalisation is below twice its sampling error say nothing and are left out. 0.5 is
    what chance gives; the largest one says on what hyper-parameter a measure fails (Dziugaite et al. ask for that, as
    an average hides it).

    Args:
        x: of ``n`` models.
        y: what it should order.
        y_error: standard error of each ``y``.
        axes: as in :func:`granulated_tau`; pairs have the same seed.

    Returns:
        The share of wrong pairs, ties in ``x`` as half, and the number of pairs.

    Reference:
        Dziugaite et al., In search of robust measures of generalization, NeurIPS 2020.
    """
    found = {}
    for axis in axes:
        if axis == "seed":
            continue
        wrong, pairs = 0.0, 0
        for i in range(len(x)):
            for j in range(i):
                if axes[axis][i] == axes[axis][j]:
                    continue
                if any(axes[other][i] != axes[other][j] for other in axes if other != axis):
                    continue
                if abs(y[i] - y[j]) <= 2 * math.hypot(y_error[i], y_error[j]):
                    continue
                pairs += 1
                product = (x[i] - x[j]) * (y[i] - y[j])
                wrong += 0.5 if product == 0 else float(product < 0)
        if pairs:
            found[axis] = (wrong / pairs, pairs)
    return found
