"""Estimated traces and norms against dense matrices and closed forms; intervals cover as often as they say."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from eigensam.ground.errors import InputError
from eigensam.landscapes.spectra.estimates import Estimate, estimate_mean, half_width
from eigensam.landscapes.spectra.function_traces import effective_dimension, trace_of_function
from eigensam.landscapes.spectra.low_rank_trace import hutch_plus_plus
from eigensam.landscapes.spectra.operators import DenseOperator, FunctionOperator
from eigensam.landscapes.spectra.probes import draw_sphere
from eigensam.landscapes.spectra.stochastic_quadrature import lanczos_quadrature
from eigensam.landscapes.spectra.traces import frobenius_norm, hutchinson

REPLICATIONS = 200
MARGIN = 0.04  # 2.6 standard errors of a fraction of 0.95 in 200 replications
DIM = 100


def symmetric(eigenvalues, seed=0):
    """A matrix of these eigenvalues in a random orthonormal basis."""
    eigenvalues = torch.as_tensor(eigenvalues, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(len(eigenvalues), len(eigenvalues), dtype=torch.float64, generator=generator))[0]
    matrix = (q * eigenvalues) @ q.mT
    return (matrix + matrix.mT) / 2


# 0: probes are drawn where eigenvalues would be no dearer
DENSE = "eigensam.landscapes.spectra.stochastic_quadrature._DENSE"


def honest(covered):
    """Whether intervals at 95 % covered as often as they said, or more often."""
    return np.mean(covered) >= 0.95 - MARGIN


def covers(estimate, truth, scale=1.0):
    """Whether an interval, stretched by ``scale`` around the value, holds the truth."""
    lower, upper = (estimate.value + scale * (end - estimate.value) for end in (estimate.lower, estimate.upper))
    return lower <= truth <= upper


MIXED = symmetric(np.linspace(-1, 2, DIM))  # many eigenvalues of like size: means over probes are close to normal
DECAYING = symmetric(1 / (1 + np.arange(DIM)) ** 2)
FLAT = symmetric(np.sign(np.arange(DIM) - 29.5))  # 30 times -1, 70 times 1


def root_mean_square(estimates, truth):
    return math.sqrt(np.mean([(estimate.value - truth) ** 2 for estimate in estimates]))


OUTLIERS = {  # the variance of a probe is one chi-squared number, two, ten, many; with signs; from a decaying tail
    "one": [1.0] + [0.0] * (DIM - 1),
    "one above a bulk": [1.0, *np.linspace(-0.02, 0.02, DIM - 1)],
    "two signs": [1.0, -1.0] + [0.0] * (DIM - 2),
    "ten": [*0.7 ** np.arange(10), *np.linspace(-0.05, 0.05, DIM - 10)],
    "decaying": 1 / np.arange(1, DIM + 1) ** 1.5,
    "mixed": np.linspace(-1, 2, DIM),
}


@pytest.mark.parametrize("spectrum", OUTLIERS)
@pytest.mark.parametrize("probes", [2, 3, 10])
def test_intervals_cover_on_every_spectrum(spectrum, probes):
    """In at least 91 % of 200 replications: what the estimates are off by depends on the spectrum and d alone."""
    values = np.asarray(OUTLIERS[spectrum])
    operator = FunctionOperator(lambda v: torch.as_tensor(values) * v, DIM)
    for estimator, truth in (
        (hutchinson, values.sum()),
        (frobenius_norm, np.sqrt((values**2).sum())),
    ):
        estimates = [estimator(operator, probes=probes, seed=seed) for seed in range(REPLICATIONS)]
        assert honest([covers(estimate, truth) for estimate in estimates])
        if probes == 10:  # wrong on purpose: half the length
            assert not honest([covers(estimate, truth, scale=0.5) for estimate in estimates])


def test_the_spread_of_values_would_not_cover():
    """Wrong on purpose: Student's interval from the spread of three probes of one outlier covers in 79 %."""
    values = torch.tensor(OUTLIERS["one"], dtype=torch.float64)
    covered, generator = [], torch.Generator().manual_seed(0)
    for _ in range(REPLICATIONS):
        z = torch.stack([draw_sphere(FunctionOperator(lambda v: v, DIM), generator) for _ in range(3)])
        forms = (z.square() * values).sum(1)
        half = student.ppf(0.975, 2) * forms.std().item() / 3**0.5
        covered.append(abs(forms.mean().item() - 1) <= half)
    assert not honest(covered)
    assert np.mean(covered) < 0.85


def test_hutch_plus_plus_covers():
    for spectrum in ("mixed", "ten", "decaying"):
        operator, truth = DenseOperator(symmetric(OUTLIERS[spectrum])), np.sum(OUTLIERS[spectrum])
        estimates = [hutch_plus_plus(operator, products=30, seed=seed) for seed in range(REPLICATIONS)]
        assert honest([covers(estimate, truth) for estimate in estimates])
        assert not honest([covers(estimate, truth, scale=0.5) for estimate in estimates])


def test_the_error_of_the_quadrature_is_in_the_interval():
    """Few steps for a kink at 0 beside a small c: truth is outside of what probes say, and in the interval."""
    values = np.concatenate([0.7 ** np.arange(10), 0.01 * np.random.default_rng(0).standard_normal(1990)])
    operator = FunctionOperator(lambda v: torch.as_tensor(values) * v, 2000)
    c = 2e-4
    truth = (values.clip(0) / (values.clip(0) + c)).sum()
    for steps in (12, 24, 40):
        estimates = [effective_dimension(operator, c, probes=4, steps=steps, seed=seed) for seed in range(20)]
        assert sum(covers(estimate, truth) for estimate in estimates) >= 18
        if steps == 12:  # wrong on purpose: the probes' part of the interval alone
            probes = student.ppf(0.975, 3) * np.array([estimate.standard_error for estimate in estimates])
            off = np.abs([estimate.value - truth for estimate in estimates])
            assert sum(off <= probes) < 10
    with pytest.raises(InputError, match="one step tells nothing of its error; give steps = 2"):
        effective_dimension(operator, c, steps=1)


def test_gauss_and_radau_enclose_each_probe(monkeypatch):
    """Of a semidefinite operator: both rules against the dense matrix, probe by probe."""
    monkeypatch.setattr(DENSE, 0)
    eigenvalues = torch.cat([torch.zeros(20), torch.logspace(-6, 0, 80)]).double()
    matrix = symmetric(eigenvalues)
    operator, c = DenseOperator(matrix, semidefinite=True), 1e-3
    generator = torch.Generator().manual_seed(0)
    z = torch.stack([draw_sphere(operator, generator) for _ in range(5)])
    shares = torch.linalg.solve(matrix + c * torch.eye(100, dtype=torch.float64), matrix)
    truth = ((z @ shares) * z).sum(1)
    gaps = []
    for steps in (2, 5, 10, 20):
        quadrature = lanczos_quadrature(operator, probes=5, steps=steps)
        upper, lower = (
            rule.traces(lambda t: t.clamp_min(0) / (t.clamp_min(0) + c)) for rule in (quadrature, quadrature.lower)
        )
        assert (lower <= truth + 1e-9).all()
        assert (truth <= upper + 1e-9).all()
        gaps.append((upper - lower).max().item())
        found = effective_dimension(quadrature, c)
        assert found.lower <= lower.mean() <= found.value <= upper.mean() <= found.upper
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 0.1 * gaps[0]


@pytest.mark.parametrize("estimator", [hutchinson, frobenius_norm, hutch_plus_plus])
def test_asymmetric_operators_are_refused(estimator):
    """By products that are there anyway: of each probe and the next one; a triangular matrix has the same trace."""
    matrix = torch.triu(torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    with pytest.raises(InputError, match="not symmetric or not deterministic"):
        estimator(FunctionOperator(lambda v: matrix @ v, DIM))


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e100, 1e200])
def test_estimates_at_any_scale(scale):
    """Squares of these numbers are 0 or infinite; values and intervals must scale."""
    values = torch.linspace(-1, 2, DIM, dtype=torch.float64)
    small, large = (FunctionOperator(lambda v, s=s: s * values * v, DIM) for s in (1.0, scale))
    for estimator in (
        hutchinson,
        frobenius_norm,
        hutch_plus_plus,
        lambda a: trace_of_function(a, lambda t: t, steps=5),
    ):
        one, scaled = estimator(small), estimator(large)
        assert scaled.value / scale == pytest.approx(one.value, rel=1e-9)
        assert scaled.upper / scale == pytest.approx(one.upper, rel=1e-9)
        assert scaled.standard_error / scale == pytest.approx(one.standard_error, rel=1e-9)


def test_intervals_of_functions_cover(monkeypatch):
    """One quadrature serves both functions; eigenvalues are those of a positive definite matrix."""
    monkeypatch.setattr(DENSE, 0)
    eigenvalues = np.linspace(0.05, 2, 60)
    operator = DenseOperator(symmetric(eigenvalues))
    exponential, dimension = [], []
    for seed in range(REPLICATIONS):
        quadrature = lanczos_quadrature(operator, probes=6, steps=8, seed=seed)
        exponential.append(trace_of_function(quadrature, torch.exp))
        dimension.append(effective_dimension(quadrature, 1.0))
    for estimates, truth in (
        (exponential, np.exp(eigenvalues).sum()),
        (dimension, (eigenvalues / (eigenvalues + 1)).sum()),
    ):
        assert honest([covers(estimate, truth) for estimate in estimates])
        assert not honest([covers(estimate, truth, scale=0.5) for estimate in estimates])


def test_variances_of_the_probes():
    """``2 d/(d+2) |A - (tr A / d) I|_F^2``, of the square for the norm; and what each probe says of it."""
    probes, draws = 10, 400
    for estimator, matrix in ((hutchinson, MIXED), (frobenius_norm, MIXED @ MIXED)):
        centred = matrix - matrix.trace() / DIM * torch.eye(DIM, dtype=torch.float64)
        truth = math.sqrt(2 * DIM / (DIM + 2) * (centred**2).sum() / probes)
        estimates = [estimator(DenseOperator(MIXED), probes=probes, seed=seed) for seed in range(draws)]
        squared = estimator is frobenius_norm
        spread = np.std([e.value**2 if squared else e.value for e in estimates])
        assert abs(spread / truth - 1) < 4 / math.sqrt(2 * draws)
        said = [(e.standard_error * (2 * e.value if squared else 1)) ** 2 for e in estimates]
        assert np.mean(said) == pytest.approx(truth**2, rel=0.02)


def test_hutch_plus_plus_is_better_where_the_spectrum_decays():
    """By more than ten times at 30 products each."""
    truth, operator = DECAYING.trace().item(), DenseOperator(DECAYING)
    errors = [
        root_mean_square([estimate(seed) for seed in range(50)], truth)
        for estimate in (
            lambda seed: hutchinson(operator, probes=30, seed=seed),
            lambda seed: hutch_plus_plus(operator, products=30, seed=seed),
        )
    ]
    assert errors[1] < errors[0] / 10


def test_hutch_plus_plus_on_a_flat_spectrum():
    """At most the root of 3 from having a third of the probes; 4 standard errors of a ratio of two spreads."""
    truth, operator, draws = FLAT.trace().item(), DenseOperator(FLAT), 200
    plain = root_mean_square([hutchinson(operator, probes=30, seed=seed) for seed in range(draws)], truth)
    better = root_mean_square([hutch_plus_plus(operator, products=30, seed=seed) for seed in range(draws)], truth)
    assert better < math.sqrt(3) * plain * (1 + 4 / math.sqrt(draws))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_hutch_plus_plus_is_exact_on_low_rank_and_on_multiples_of_the_identity(dtype):
    """Rank below the sketch, rank 0, and a complement without spread."""
    precision = 1e-9 if dtype == torch.float64 else 1e-3
    for eigenvalues in ([5.0, -3.0, 1.0] + [0.0] * 57, [0.0] * 60, [2.0] * 60):
        operator = DenseOperator(symmetric(eigenvalues).to(dtype))
        estimate = hutch_plus_plus(operator, products=24)
        assert estimate.value == pytest.approx(sum(eigenvalues), abs=precision)
        assert estimate.upper - estimate.lower < precision
        assert estimate.products <= 24
    assert hutch_plus_plus(FunctionOperator(torch.zeros_like, 60), products=24).products == 8 + 0 + 8


def test_hutch_plus_plus_keeps_to_its_products():
    spent = []

    def product(v):
        spent.append(1)
        return MIXED @ v

    for products in (4, 5, 6, 31):
        spent.clear()
        estimate = hutch_plus_plus(FunctionOperator(product, DIM), products=products)
        assert len(spent) == estimate.products == products


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("estimator", [hutchinson, frobenius_norm, hutch_plus_plus])
@pytest.mark.parametrize("dim", [1, 7])
def test_as_many_products_as_dimensions_are_exact(estimator, dim, dtype):
    matrix = symmetric(np.linspace(-2, 1, dim)).to(dtype)
    truth = matrix.norm() if estimator is frobenius_norm else matrix.trace()
    budget = {"products" if estimator is hutch_plus_plus else "probes": 10}
    estimate = estimator(DenseOperator(matrix), **budget)
    assert estimate.products == dim  # for 10 products or more
    assert estimate.lower == estimate.value == estimate.upper == pytest.approx(truth.item(), rel=1e-5)
    assert estimate.standard_error == 0


@pytest.mark.parametrize("estimator", [hutchinson, frobenius_norm, hutch_plus_plus])
def test_batches_change_rounding_only(estimator):
    operator = DenseOperator(MIXED)
    counts = []
    alone = estimator(operator, seed=3, batch=1, callback=counts.append)
    assert counts == list(range(1, alone.products + 1))
    for batch in (7, None):
        counts.clear()
        together = estimator(operator, seed=3, batch=batch, callback=counts.append)
        assert together.value == pytest.approx(alone.value, rel=1e-12)
        assert together.upper == pytest.approx(alone.upper, rel=1e-12)
        assert counts[-1] == together.products == alone.products
    assert estimator(operator, seed=3) == estimator(operator, seed=3)
    assert estimator(operator, seed=4).value != alone.value


@pytest.mark.parametrize("estimator", [hutchinson, frobenius_norm, hutch_plus_plus])
def test_float32_agrees_with_float64(estimator):
    single, double = (estimator(DenseOperator(matrix), seed=1) for matrix in (MIXED.float(), MIXED))
    assert single.value == pytest.approx(double.value, rel=1e-5)
    assert single.standard_error == pytest.approx(double.standard_error, rel=1e-4)


def test_interval_of_the_norm_is_that_of_its_square():
    """By hand from the same probes; the lower end is 0 where that of the square is negative."""
    generator = torch.Generator().manual_seed(5)
    z = torch.stack([draw_sphere(DenseOperator(MIXED), generator) for _ in range(4)])
    squares = ((z @ MIXED) ** 2).sum(1).numpy()
    variances = 2 * (((z @ MIXED @ MIXED) ** 2).sum(1).numpy() - squares**2 / DIM)
    half = student.ppf(0.95, 3) * variances.mean() ** 0.5 / 2
    estimate = frobenius_norm(DenseOperator(MIXED), probes=4, seed=5, confidence=0.9)
    assert estimate.products == 8
    assert estimate.value == pytest.approx(squares.mean() ** 0.5, rel=1e-12)
    assert estimate.upper == pytest.approx((squares.mean() + half) ** 0.5, rel=1e-10)
    assert estimate.lower == pytest.approx(max(squares.mean() - half, 0) ** 0.5, rel=1e-10)
    assert estimate.standard_error == pytest.approx(variances.mean() ** 0.5 / 4 / estimate.value, rel=1e-10)
    one = DenseOperator(symmetric([1.0] + [0.0] * 29))
    assert frobenius_norm(one, probes=2).lower == 0
    assert frobenius_norm(FunctionOperator(torch.zeros_like, 30), probes=2) == Estimate(0.0, 0.0, 0.0, 0.95, 0.0, 4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_functions_of_small_matrices_are_exact(dtype):
    """Closed forms: log of 20!, and negative and repeated eigenvalues in the effective dimension; d below the steps."""
    factorial = DenseOperator(torch.diag(torch.arange(1, 21, dtype=dtype)))
    estimate = trace_of_function(factorial, torch.log, probes=3)
    assert estimate.value == pytest.approx(math.lgamma(21), rel=1e-5)
    assert estimate.upper - estimate.lower < 1e-3
    assert estimate.products == 20
    assert (estimate.standard_error, estimate.quadrature_error) == (0, 0)
    eigenvalues = torch.tensor([-5.0, -5.0, 0.0, 1.0, 1.0, 3.0], dtype=dtype)
    estimate = effective_dimension(DenseOperator(torch.diag(eigenvalues)), 1.0, probes=3)
    assert estimate.value == pytest.approx(0.5 + 0.5 + 0.75, rel=1e-5)
    assert effective_dimension(DenseOperator(torch.eye(1, dtype=dtype)), 3.0).value == pytest.approx(0.25)


def test_first_and_second_moments_are_those_of_hutchinson():
    """The same probes: ``tr A`` and ``tr A^2`` by quadrature, whose error is 0 from three and six steps on."""
    operator = DenseOperator(MIXED)
    quadrature = lanczos_quadrature(operator, probes=5, steps=6, seed=6)
    plain, square = (estimator(operator, probes=5, seed=6) for estimator in (hutchinson, frobenius_norm))
    first, second = (
        trace_of_function(quadrature, function, confidence=0.9) for function in (lambda t: t, torch.square)
    )
    assert first.value == pytest.approx(plain.value, rel=1e-10)
    assert first.standard_error == pytest.approx(plain.standard_error, rel=1e-10)
    assert second.value == pytest.approx(square.value**2, rel=1e-10)
    assert second.standard_error == pytest.approx(square.standard_error * 2 * square.value, rel=1e-10)
    assert second.quadrature_error < 1e-10
    assert first.confidence == 0.9
    assert first.upper < plain.upper


def test_effective_dimension_falls_with_c():
    quadrature = lanczos_quadrature(DenseOperator(MIXED))
    values = [effective_dimension(quadrature, c).value for c in (1e-9, 0.1, 1.0, 1e9)]
    assert values == sorted(values, reverse=True)
    assert values[0] < DIM
    assert values[-1] == pytest.approx(0, abs=1e-5)


def test_the_interval_by_hand():
    """Student's quantile from scipy, the mean of variances, along the first axis."""
    deviations = torch.rand(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    error = (deviations.numpy() ** 2).mean(0) ** 0.5 / 5**0.5
    np.testing.assert_allclose(half_width(deviations, 0.9).numpy(), student.ppf(0.95, 4) * error, rtol=1e-12)
    estimate = estimate_mean(torch.arange(5.0, dtype=torch.float64), deviations[:, 1], 0.9, 7, 0.5)
    assert estimate.value == 2
    assert estimate.lower == pytest.approx(1.5 - student.ppf(0.95, 4) * error[1])
    assert estimate.standard_error == pytest.approx(error[1])
    assert (estimate.products, estimate.confidence, estimate.quadrature_error) == (7, 0.9, 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: hutchinson(a, probes=1), r"1 probe\(s\) give no interval; it needs a spread over at least 2"),
        (lambda a: frobenius_norm(a, probes=0), "0 probe"),
        (lambda a: hutch_plus_plus(a, products=3), "products = 3 cannot be split; .* at least 4"),
        (lambda a: trace_of_function(a, torch.exp, probes=1), "1 probe"),
        (lambda a: effective_dimension(lanczos_quadrature(a, probes=1), 1.0), "1 probe"),
        (lambda a: hutchinson(a, confidence=1.0), "confidence = 1.0 is not between 0 and 1; give e.g. 0.95"),
        (lambda a: frobenius_norm(a, confidence=0.0), "confidence = 0.0"),
        (lambda a: hutch_plus_plus(a, confidence=95), "confidence = 95"),
        (lambda a: trace_of_function(a, torch.exp, confidence=float("nan")), "confidence = nan"),
        (lambda a: hutchinson(a, probes=2.5), "probes = 2.5 is not a whole number"),
        (lambda a: hutch_plus_plus(a, products=9.5), "products = 9.5 is not a whole number"),
        (lambda a: trace_of_function(a, torch.exp, steps=2.5), "steps = 2.5 is not a whole number"),
        (lambda a: hutchinson(a.matrix), "found a Tensor for the operator; give a matrix as DenseOperator"),
        (lambda a: effective_dimension(a.matrix, 1.0), "found a Tensor for the operator"),
        (lambda a: hutchinson(a, batch=0), "batch = 0 vectors in a product; give at least 1"),
        (lambda a: hutch_plus_plus(a, batch=-1), "batch = -1"),
        (lambda a: effective_dimension(a, 0.0), "c = 0.0 is not positive and finite; give the size"),
        (lambda a: effective_dimension(a, float("nan")), "c = nan"),
        (lambda a: trace_of_function(a, torch.log), "gives nan .* expected finite"),
        (lambda a: trace_of_function(lanczos_quadrature(a), torch.exp, seed=1), "belong to an operator"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call(DenseOperator(MIXED))


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_the_norm_in_float32_at_any_scale(scale):
    operator = DenseOperator(torch.eye(40) * scale)
    assert frobenius_norm(operator, probes=5).value == pytest.approx(40**0.5 * scale, rel=1e-5)
