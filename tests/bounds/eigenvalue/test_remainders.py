"""Taylor's remainder: moments of a Gaussian from scipy, exact gamma quotients, never below the truth."""

import math
import random
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy.stats import chi

from eigensam.bounds import remainder
from eigensam.ground import InputError


def test_remainders_are_the_moments_of_a_gaussian():
    """E|e|^4 = sigma^4 d (d+2) and E|e|^3, both from scipy's chi distribution."""
    for d, sigma in ((1, 1.0), (7, 0.3), (1000, 0.01)):
        assert remainder(d, sigma, fourth_derivative=24) == pytest.approx(sigma**4 * chi(d).moment(4), rel=1e-9)
        assert remainder(d, sigma, hessian_lipschitz=6) == pytest.approx(sigma**3 * chi(d).moment(3), rel=1e-9)
    assert remainder(7, 0.3, 1.0, 1.0) == min(remainder(7, 0.3, 1.0), remainder(7, 0.3, None, 1.0))


def _nearest(d, sigma, k4, k3):
    """The same in plain floats with log-gammas, as it was before. Wrong on purpose."""
    if k4 is not None:
        return k4 / 24 * sigma**4 * d * (d + 2)
    return k3 / 6 * sigma**3 * math.exp(1.5 * math.log(2) + math.lgamma((d + 3) / 2) - math.lgamma(d / 2))


def test_is_the_least_float_above_the_truth():
    rng, below = random.Random(0), 0
    for i in range(300):
        d, sigma, constant = int(10 ** rng.uniform(0, 9)), 10 ** rng.uniform(-8, 1), 10 ** rng.uniform(-5, 5)
        k4, k3 = (constant, None) if i % 2 else (None, constant)
        value = remainder(d, sigma, k4, k3)
        with mpmath.workdps(60):
            s, k, half = mpmath.mpf(sigma), mpmath.mpf(constant), mpmath.mpf(d) / 2
            third = mpmath.sqrt(8) * mpmath.gammaprod([half + 1.5], [half])
            truth = k / 24 * s**4 * d * (d + 2) if k4 else k / 6 * s**3 * third
            assert value >= truth
            assert math.nextafter(value, 0) < truth
            below += _nearest(d, sigma, k4, k3) < truth
    assert below > 100


@pytest.mark.parametrize("d", [2, 3, 10, 11, 500])
def test_third_moment_from_factorials(d):
    """E|z|^3 = (d+1)!! / (d-2)!! times sqrt(pi/2) (d even) or sqrt(2/pi) (d odd): no gamma function."""
    quotient = Fraction(math.prod(range(d + 1, 0, -2)), math.prod(range(d - 2, 0, -2)))
    factor = math.sqrt(math.pi / 2) if d % 2 == 0 else math.sqrt(2 / math.pi)
    assert remainder(d, 1.0, hessian_lipschitz=6.0) == pytest.approx(float(quotient) * factor, rel=1e-15)


def test_third_moment_at_ten_million():
    """Stirling: E|z|^3 = d^{3/2} (1 + 3/(4d) + ...), which log-gammas miss by 1e-10 and more there."""
    d = 10**7
    truth = d**1.5 * (1 + 3 / (4 * d))
    assert remainder(d, 1.0, hessian_lipschitz=6.0) == pytest.approx(truth, rel=1e-13)
    assert abs(_nearest(d, 1.0, None, 6.0) / truth - 1) > 1e-10


def test_scalars_and_refusals():
    assert remainder(np.int64(2), np.float32(1), fourth_derivative=np.float64(3)) == 1.0
    with pytest.raises(InputError, match="no bound on a higher derivative"):
        remainder(7, 0.3)
    for constants in ((-1.0,), (None, -1.0), (math.nan,), (math.inf,)):
        with pytest.raises(InputError, match="are not negative"):
            remainder(7, 0.3, *constants)
    for sigma in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(InputError, match="is not positive and finite"):
            remainder(7, sigma, 1.0)
