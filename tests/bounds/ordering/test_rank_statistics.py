"""Rank statistics against scipy, loops and closed forms."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from eigensam.bounds.ordering.rank_statistics import (
    bootstrap_counts,
    conditional_sign_error,
    granulated_tau,
    kendall_tau,
    partial_tau,
    permutation_p,
    spearman,
)


def with_ties(rng, n):
    return rng.integers(0, 6, n).astype(float)


def test_tau_and_spearman_against_scipy():
    rng = np.random.default_rng(0)
    for n in (3, 10, 40):
        for _ in range(20):
            x, y = with_ties(rng, n), with_ties(rng, n)
            if len(set(x)) == 1 or len(set(y)) == 1:
                continue
            assert float(kendall_tau(x, y)[0]) == pytest.approx(kendalltau(x, y).statistic, abs=1e-12)
            assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


def test_tau_of_a_resample_is_that_of_the_repeated_models():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=12), with_ties(rng, 12)
    groups = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    counts = bootstrap_counts(groups, 50, seed=0)
    assert counts.shape == (50, 12)
    for row, tau in zip(counts, kendall_tau(x, y, counts), strict=True):
        assert all(len({row[i] for i in members}) == 1 for members in groups)  # seeds stay together
        rows = np.repeat(np.arange(12), row.astype(int))
        if len(set(x[rows])) > 1 and len(set(y[rows])) > 1:
            assert float(tau) == pytest.approx(kendalltau(x[rows], y[rows]).statistic, abs=1e-12)


def test_all_tied_is_not_a_number():
    assert math.isnan(kendall_tau(np.ones(4), np.arange(4.0))[0])
    assert math.isnan(spearman(np.ones(4), np.arange(4.0)))


def test_intervals_of_models_one_by_one_are_too_short():
    """Planted: a correlation between configurations by chance only; wrong on purpose: seeds as if they were models."""
    rng, covered, wrong, trials = np.random.default_rng(2), 0, 0, 150
    groups = [list(range(4 * i, 4 * i + 4)) for i in range(10)]
    for trial in range(trials):
        x, y = (np.repeat(rng.normal(size=10), 4) + 0.05 * rng.normal(size=40) for _ in range(2))
        for clusters, name in ((groups, "right"), ([[i] for i in range(40)], "wrong")):
            low, high = np.nanquantile(kendall_tau(x, y, bootstrap_counts(clusters, 200, trial)), [0.025, 0.975])
            if low <= 0 <= high:
                covered += name == "right"
                wrong += name == "wrong"
    assert covered >= 0.85 * trials
    assert wrong < 0.75 * trials


def test_permutation_p_is_exact_enough():
    """Against all permutations of five configurations; and uniform where there is nothing."""
    rng = np.random.default_rng(3)
    groups = [[2 * i, 2 * i + 1] for i in range(5)]
    x, y = rng.normal(size=10), rng.normal(size=10)
    means = [np.array([each[members].mean() for members in groups]) for each in (x, y)]
    observed = abs(kendalltau(*means).statistic)
    exact = np.mean(
        [
            abs(kendalltau(means[0], means[1][list(p)]).statistic) >= observed - 1e-9
            for p in itertools.permutations(range(5))
        ]
    )
    assert permutation_p(x, y, groups, 4000, seed=0) == pytest.approx(float(exact), abs=0.03)
    p_values = []
    for seed in range(100):
        x, y = rng.normal(size=24), rng.normal(size=24)
        p_values.append(permutation_p(x, y, [[2 * i, 2 * i + 1] for i in range(12)], 200, seed))
    assert np.mean(np.array(p_values) < 0.2) == pytest.approx(0.2, abs=0.12)


def test_partial_tau():
    """Where z is all there is, nothing is left; where z says nothing, all."""
    rng = np.random.default_rng(4)
    z = rng.normal(size=400)
    x, y = z + 0.3 * rng.normal(size=400), z + 0.3 * rng.normal(size=400)
    taus = [kendall_tau(a, b) for a, b in ((x, y), (x, z), (y, z))]
    assert float(taus[0][0]) > 0.6
    assert abs(float(partial_tau(*taus)[0])) < 0.35 * float(taus[0][0])
    w = rng.normal(size=400)
    same = partial_tau(taus[0], kendall_tau(x, w), kendall_tau(y, w))
    assert float(same[0]) == pytest.approx(float(taus[0][0]), abs=0.02)


AXES = {
    "lr": [1, 1, 2, 2, 1, 1, 2, 2],
    "batch_size": [8, 16, 8, 16, 8, 16, 8, 16],
    "seed": [0, 0, 0, 0, 1, 1, 1, 1],
}


def test_granulated_by_hand():
    """x follows lr alone; y falls with the batch size: along lr there is a tau, along the batch size nothing."""
    x = np.array([1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0])
    y = np.array([1.0, 0.5, 2.0, 1.5, 1.2, 0.7, 1.1, 1.9])
    mean, parts = granulated_tau(x, y, AXES)
    assert set(parts) == {"lr"}  # along the batch size all are tied
    assert parts["lr"].tau == pytest.approx((1 + 1 - 1 + 1) / 4)
    assert mean == parts["lr"].tau
    mean, parts = granulated_tau(y, y, AXES)
    assert mean == 1
    assert parts["batch_size"].groups == 4


def test_sign_error_by_hand():
    x = np.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
    y = np.array([1.0, 2.0, 5.0, 4.0, 1.0, 1.05, 5.0, 6.0])
    error = np.full(8, 0.1)
    found = conditional_sign_error(x, y, error, AXES)
    assert found["batch_size"] == (1 / 3, 3)  # one pair is within the error of y
    assert found["lr"] == (0.5, 4)  # ties in x
    assert "seed" not in found
