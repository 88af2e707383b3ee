"""The bound of SAM's paper: 300 cases against 60 digits, each step of its proof, what its print has otherwise."""

import math
import random

import mpmath
import numpy as np
import pytest
from scipy.stats import chi2

from eigensam.bounds import ball_bound, foret_bound
from eigensam.ground import InputError

from .cases import COMMON, cases, kl


def _formula(case):
    """Printed statement; the argument of kl^-1 and what must be reached, from step 1 to 3 of the proof."""
    real, log, sqrt = mpmath.mpf, mpmath.log, mpmath.sqrt
    n, d, b = real(case["examples"]), real(case["dim"]), real(case["loss_bound"])
    ratio = real(case["squared_norm"]) / real(case["rho"]) ** 2 * (1 + sqrt(log(n) / d)) ** 2
    delta, loss = real(case["delta"]), real(case["perturbed_loss"])
    root = sqrt((d * log(1 + ratio) + 4 * log(n / delta) + 8 * log(6 * n + 3 * d)) / (n - 1))
    inside = ((1 - 1 / sqrt(n)) * loss + b / sqrt(n)) / b
    kl = (1 + d * log(1 + ratio)) / 2
    return (
        loss + b * root,
        b * root,
        inside,
        (kl + log(n / delta) + 2 * log(6 * n + 3 * d)) / (n - 1),
        d * log(1 + ratio),
    )


def test_against_sixty_digits():
    seen = set()
    for case in cases(300, 0):
        found = foret_bound(**case)
        with mpmath.workdps(60):
            total, complexity, q, c, log_ratio = _formula(case)
            assert complexity <= found.terms[1].value <= complexity * (1 + mpmath.mpf(2) ** -52)
            assert total <= found.bound <= total * (1 + mpmath.mpf(2) ** -50)
            assert found.bound_kl <= found.bound
            p = mpmath.mpf(found.bound_kl) / case["loss_bound"]
            if found.bound_kl == found.bound or p >= 1:
                seen.add("trivial")
                continue
            assert log_ratio <= 4 * case["examples"]
            assert kl(q, p - mpmath.mpf(10) ** -9) < c <= kl(q, p) * (1 + mpmath.mpf(10) ** -15)
            seen.add("kl")
    assert seen == {"trivial", "kl"}


def test_the_union_holds_a_prior_for_the_point():
    """Step 2, with the grid walked through: j, its KL and its part of delta, against what the docstring says."""
    rng = random.Random(0)
    for _ in range(300):
        d, n = int(10 ** rng.uniform(0, 4)), int(10 ** rng.uniform(1, 5))
        log_ratio = rng.uniform(0, min(4 * n, 600 * d))  # K = d ln(1 + |x|^2/(d sigma^2))
        log_c = np.logaddexp(0, 4 * n / d)  # in units of sigma^2, as all that follows
        log_v = log_ratio / d
        j = math.floor(1 - d * (log_v - log_c))
        assert 1 <= j <= 2 * d + 4 * n
        log_prior = log_c + (1 - j) / d
        assert log_v - 1e-12 <= log_prior <= log_v + 1 / d + 1e-12
        kl = (d * math.exp(log_v - log_prior) - d + d * log_prior) / 2
        assert kl <= (1 + log_ratio) / 2 + 1e-9 * (1 + d)
        assert math.log(math.pi**2 * j**2 / 6) <= 2 * math.log(6 * n + 3 * d)


def test_the_ball_holds_all_but_one_in_root_n():
    """Step 3, with the exact chi-square distribution. Wrong on purpose: the noise of the printed assumption."""
    for n in (8, 100, 60_000, 10**9):
        for d in (1, 2, 10, 1000, 10**6):
            sigma = 1 / (math.sqrt(d) + math.sqrt(math.log(n)))
            assert chi2.sf(1 / sigma**2, d) <= 1 / math.sqrt(n)
            if d >= 10:
                assert chi2.sf(1 / 1.0**2, d) > 0.99


def test_the_factor_four_makes_up_for_what_is_outside():
    """Step 4: with A under the root of the proof, 1/sqrt(n) + sqrt(A + 1/4) <= 2 sqrt(A), all over sqrt(n-1)."""
    for n in (8, 10, 100, 10**6):
        least = math.log(n) + 2 * math.log(6 * n + 3)  # of ln(n/delta) + 2 ln(6n + 3d)
        assert math.sqrt((n - 1) / n) + math.sqrt(least + 0.25) <= 2 * math.sqrt(least)


def test_monotone_and_never_below_the_loss():
    for bound in (foret_bound, ball_bound):
        base = bound(0.1, **COMMON)
        worse = [
            bound(0.2, **COMMON),
            bound(0.1, **{**COMMON, "rho": 0.25}),
            bound(0.1, **{**COMMON, "squared_norm": 4.0}),
            bound(0.1, **{**COMMON, "dim": 60}),
            bound(0.1, **{**COMMON, "examples": 5000}),
            bound(0.1, **COMMON, delta=0.01),
        ]
        for found in (base, *worse):
            assert 0.1 <= found.bound_kl <= found.bound
            assert found.bound == pytest.approx(sum(term.value for term in found.terms), rel=1e-14)
        for found in worse:
            assert found.bound > base.bound
            assert found.bound_kl > base.bound_kl
        scaled = bound(0.3, **COMMON, loss_bound=3.0)
        assert scaled.bound == pytest.approx(3 * base.bound, rel=1e-12)
        assert scaled.bound_kl == pytest.approx(3 * base.bound_kl, rel=1e-9)


def test_kinds_and_words():
    """What an ascent finds is too small, if anything, so only a caller who says otherwise gets a certificate."""
    for bound in (foret_bound, ball_bound):
        assert bound(0.1, **COMMON).kind == "estimate"
        assert "may be too small" in bound(0.1, **COMMON).assumptions[-1]
        proved = bound(0.1, **COMMON, kind="certificate")
        assert proved.kind == "certificate"
        assert not any("may be too small" in sentence for sentence in proved.assumptions)
        assert sum("f_D(x) <= E f_D(x + e)" in sentence for sentence in proved.assumptions) == 1
    assert any("rho was fixed" in sentence for sentence in foret_bound(0.1, **COMMON).assumptions)
    vacuous = foret_bound(0.1, **{**COMMON, "dim": 10**7})
    assert vacuous.vacuous
    assert vacuous.bound > 1


@pytest.mark.parametrize("bound", [foret_bound, ball_bound])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"perturbed_loss": 1.1}, "does not lie in"),
        ({"perturbed_loss": math.nan}, "does not lie in"),
        ({"perturbed_loss": -0.1}, "does not lie in"),
        ({"loss_bound": math.inf}, "does not lie in"),
        ({"rho": 0.0}, "rho = 0.0 is not positive"),
        ({"rho": -1.0}, "is not positive"),
        ({"rho": math.nan}, "is not positive"),
        ({"squared_norm": -1.0}, "squared norm"),
        ({"squared_norm": math.inf}, "squared norm"),
        ({"dim": 0}, "not a number of parameters"),
        ({"dim": 2.5}, "not a number of parameters"),
        ({"examples": 7}, "too few"),
        ({"examples": 100.5}, "not a whole number"),
        ({"delta": 0.0}, "delta"),
        ({"delta": 1.0}, "delta"),
        ({"kind": "measured"}, "unknown kind"),
        ({"kind": "proved"}, "unknown kind"),
    ],
)
def test_refusals(bound, change, message):
    with pytest.raises(InputError, match=message):
        bound(**{"perturbed_loss": 0.1, **COMMON, **change})
