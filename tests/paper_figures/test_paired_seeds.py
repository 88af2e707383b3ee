"""Verdicts follow from intervals, and intervals from pairs."""

import math

import numpy as np
import pytest
from scipy import stats

from eigensam.paper_figures.paired_seeds import nats_at_risk, paired
from eigensam.paper_figures.verdict import below


def test_interval_against_scipy():
    over, under = [0.31, 0.42, 0.28, 0.55], [0.30, 0.38, 0.27, 0.50]
    found = paired(over, under)
    truth = stats.ttest_rel(over, under).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((truth.low, truth.high))


def test_pairs_resolve_what_unpaired_seeds_do_not():
    """Wrong on purpose: seeds differ by far more than the two things do, so that order matters."""
    seeds = np.array([1.0, 5.0, 9.0, 2.0, 7.0])
    over = seeds - 0.1 + np.array([0.01, -0.01, 0.0, 0.02, -0.02])
    assert below(paired(over, seeds), 0, "gap").word == "reproduced"
    assert below(paired(over, seeds[::-1]), 0, "gap").word == "not resolved here"


def test_nats_on_a_power_law():
    """Risk 1/nats: exact, as both axes are logarithms; outside of the curve its ends."""
    nats = [5.0, 10.0, 20.0, 40.0]
    risks = [1 / n for n in nats]
    for wanted in (5.0, 7.0, 10.0, 33.0, 40.0):
        assert nats_at_risk(nats, risks, 1 / wanted) == pytest.approx(wanted)
    assert nats_at_risk(nats, risks, 1.0) == 5.0
    assert nats_at_risk(nats, risks, 1e-3) == 40.0


def test_nats_on_a_curve_that_rises():
    """Nats need not be spent: from the least value so far, not from the last one."""
    found = nats_at_risk([5.0, 10.0, 20.0], [0.04, 0.05, 0.02], 0.03)
    assert found == pytest.approx(10 * 2 ** (math.log(0.04 / 0.03) / math.log(2)))
    assert nats_at_risk([5.0, 10.0], [0.04, 0.0], 0.0) == 10.0
