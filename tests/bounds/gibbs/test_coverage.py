"""The upper value of a Gibbs risk is too small as seldom as it says; planted errors are caught."""

import math

import pytest
import torch
from scipy.stats import binom

from eigensam.bounds import ZeroOneRisk, gibbs_risk, kl_inverse

from .linear_scores import exact, networks, sample, seeded


def _most(repetitions):
    """Violations that a level of 0.1 exceeds with probability 1e-4."""
    return int(binom.ppf(1 - 1e-4, repetitions, 0.1))


def _violations(name, make_upper, repetitions):
    """How often the upper value of ``delta = 0.1`` is below the truth, on two samples of 40 and 5 draws.

    ``draws`` gets examples on one ray, which err together: their average is one number of law Bernoulli(0.4), and
    ``0.6^5 = 0.078`` is the probability that five draws show no error: the worst case for the bound, almost.
    """
    x, y = sample(40, seed=5)
    if name == "draws":
        x, y = torch.outer(torch.linspace(1, 3, 40), torch.tensor([0.035, 0.9])).double(), torch.zeros_like(y)
        assert exact(x, y) == pytest.approx(0.4, abs=0.01)
    truth, generator, network = exact(x, y), seeded(3), networks(x)[name]
    found = 0
    for _ in range(repetitions):
        (risk,) = gibbs_risk(network, x, y, [ZeroOneRisk(0.1)], draws=5, generator=generator)
        found += make_upper(risk) < truth
    return found


@pytest.mark.parametrize("name", ["frozen", "draws"])
def test_coverage(name):
    """The upper value is too small in no more than ``delta`` of the repetitions, and in some: it is not idle."""
    assert 5 < _violations(name, lambda risk: risk.upper, 2000) <= _most(2000)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("draws", lambda r: kl_inverse(r.mean, math.log(10) / (r.examples * r.draws))),
        ("frozen", lambda r: r.mean),
        ("frozen", lambda r: kl_inverse(r.mean, math.log(10) / (10 * r.independent))),
    ],
    ids=["shared draws counted as fresh", "no confidence", "N ten times too large"],
)
def test_planted_errors_are_caught(name, wrong):
    assert _violations(name, wrong, 500) > _most(500)
