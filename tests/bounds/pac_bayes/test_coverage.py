"""How often an inequality fails: exactly for one predictor, in 2000 samples for a posterior chosen after looking.

Where nothing goes wrong in a sample, Catoni's inequality with a large C is as tight as a union bound: it fails with
probability delta itself. There planted errors show.
"""

import numpy as np
import pytest
from scipy.stats import binom

from eigensam.bounds import PAC_BAYES, Catoni, GibbsSample

DELTA, REPETITIONS = 0.05, 2000
MOST = int(binom.isf(1e-4, REPETITIONS, DELTA))
"""Failures that so many repetitions may have by chance, once in 10^4 suites at worst: 138, or 6.9 %."""

KINDS = [
    *(PAC_BAYES[name]() for name in PAC_BAYES),
    *(PAC_BAYES[name].fixed_for(0.1, 0.0, 40, DELTA) for name in PAC_BAYES),
]
TIGHT = Catoni(100.0)


def named(kind):
    return type(kind).__name__


@pytest.mark.parametrize("kind", KINDS, ids=named)
@pytest.mark.parametrize("n", [2, 40])
def test_one_predictor_exactly(kind, n):
    """At KL = 0 the bound fails when at most k are wrong and upper(k/n) < p: never more often than delta, at any p."""
    for k in range(n):
        upper = kind.upper(GibbsSample(k / n, 0.0, n), DELTA)
        assert upper == 1 or binom.cdf(k, n, upper) <= DELTA * (1 + 1e-9), (k, upper)


def test_tight_where_nothing_goes_wrong():
    """So that its rate is delta, not below: an error that doubles it is seen."""
    upper = TIGHT.upper(GibbsSample(0.0, 0.0, 40), DELTA)
    assert binom.cdf(0, 40, upper) == pytest.approx(DELTA, rel=1e-6)


def failures(kind, predictors, n=40, divergence=None):
    """In how many samples the bound of the best predictor is below its risk, under a uniform prior.

    All predictors have the same risk, just above the bound for an error-free one with KL = ``divergence``, which is
    ln of their number unless somebody cheats.
    """
    kl = np.log(predictors) if divergence is None else divergence
    upper = np.array([kind.upper(GibbsSample(k / n, kl, n), DELTA) for k in range(n + 1)])
    risk = min(upper[0] * (1 + 1e-9), 1.0)
    errors = np.random.default_rng(0).binomial(n, risk, size=(REPETITIONS, predictors)).min(axis=1)
    return int((upper[errors] < risk).sum())


@pytest.mark.parametrize("kind", KINDS, ids=named)
@pytest.mark.parametrize("predictors", [2, 20])
def test_predictor_chosen_after_looking(kind, predictors):
    """The best of several, under a uniform prior: KL = ln of their number."""
    found = failures(kind, predictors)
    assert found <= MOST


@pytest.mark.parametrize("predictors", [2, 20])
def test_tight_one_chosen_after_looking(predictors):
    """The rate is delta but for what is won twice: the margin is not idle."""
    found = failures(TIGHT, predictors)
    assert binom.ppf(1e-4, REPETITIONS, 1 - (1 - DELTA / predictors) ** predictors) <= found <= MOST


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_posterior_on_two_points_tilted_after_looking(kind):
    """Weights exp(-n r) of two predictors with different risks, at the divergence that this has from (1/2, 1/2)."""
    rng, n = np.random.default_rng(1), 12
    p = np.array([0.15, 0.25])
    errors = rng.binomial(n, p, size=(REPETITIONS, 2))
    bound, failed = {}, 0
    for pair in map(tuple, errors.tolist()):
        weights = np.exp(-np.array(pair) + min(pair))
        weights /= weights.sum()
        if pair not in bound:
            kl = float((weights * np.log(2 * weights)).sum())
            bound[pair] = kind.upper(GibbsSample(float(weights @ pair) / n, max(kl, 0.0), n), DELTA)
        failed += bound[pair] < weights @ p
    assert failed <= MOST


def _two_samples():
    """Errors of one predictor on two samples, at the risk where the tight inequality fails as often as it may."""
    n = 40
    upper = np.array([TIGHT.upper(GibbsSample(k / n, 0.0, n), DELTA) for k in range(n + 1)])
    risk = upper[0] * (1 + 1e-9)
    errors = np.random.default_rng(1).binomial(n, risk, size=(REPETITIONS, 2))
    return upper[errors], risk


def test_a_prior_chosen_on_the_bound_split_is_caught():
    """Wrong on purpose: put on the best of two predictors, where KL = 0."""
    assert failures(TIGHT, 2) <= MOST < failures(TIGHT, 2, divergence=0.0)


def test_a_subsample_that_was_peeked_at_is_caught():
    """Wrong on purpose: of two samples the one with the smaller bound is called the bound split."""
    bounds, risk = _two_samples()
    assert (bounds[:, 0] < risk).sum() <= MOST < (bounds.min(axis=1) < risk).sum()


def test_delta_spent_twice_is_caught():
    """Wrong on purpose: two inequalities at delta each are said to hold both with 1 - delta; at delta/2 they do."""
    bounds, risk = _two_samples()
    assert (bounds < risk).any(axis=1).sum() > MOST
    half = TIGHT.upper(GibbsSample(0.0, 0.0, 40), DELTA / 2) * (1 + 1e-9)
    errors = np.random.default_rng(2).binomial(40, half, size=(REPETITIONS, 2))
    assert (errors == 0).any(axis=1).sum() <= MOST
