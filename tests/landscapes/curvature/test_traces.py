"""Estimated traces and norms against dense matrices and closed forms; intervals cover as often as they say."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from scipy.stats import t as student

from eigensam.landscapes.curvature.estimates import Estimate, estimate_mean, half_width
from eigensam.landscapes.curvature.function_traces import effective_dimension, trace_of_function
from eigensam.landscapes.curvature.hutch_plus_plus import hutch_plus_plus
from eigensam.landscapes.curvature.operators import DenseOperator, FunctionOperator
from eigensam.landscapes.curvature.quadrature import lanczos_quadrature
from eigensam.landscapes.curvature.traces import frobenius_norm, hutchinson
from eigensam.landscapes.errors import InputError

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


def honest(covered):
    """Whether intervals at 95 % covered as often as they said."""
    return abs(np.mean(covered) - 0.95) <= MARGIN


def covers(estimate, truth, scale=1.0):
    """Whether an interval, stretched by ``scale`` around the value, holds the truth."""
    lower, upper = (estimate.value + scale * (end - estimate.value) for end in (estimate.lower, estimate.upper))
    return lower <= truth <= upper


MIXED = symmetric(np.linspace(-1, 2, DIM))  # many eigenvalues of like size: means over probes are close to normal
DECAYING = symmetric(1 / (1 + np.arange(DIM)) ** 2)
FLAT = symmetric(np.sign(np.arange(DIM) - 29.5))  # 30 times -1, 70 times 1


def root_mean_square(estimates, truth):
    return math.sqrt(np.mean([(estimate.value - truth) ** 2 for estimate in estimates]))


@pytest.mark.parametrize(
    ("estimator", "truth"),
    [
        (lambda a, seed: hutchinson(a, probes=10, seed=seed), MIXED.trace().item()),
        (lambda a, seed: hutchinson(a, probes=3, seed=seed), MIXED.trace().item()),
        (lambda a, seed: frobenius_norm(a, probes=10, seed=seed), MIXED.norm().item()),
        (lambda a, seed: hutch_plus_plus(a, products=30, seed=seed), MIXED.trace().item()),
    ],
    ids=["hutchinson", "three probes", "frobenius", "hutch++"],
)
def test_intervals_cover(estimator, truth):
    """In 95 +- 4 % of 200 replications; intervals of half the length do not."""
    estimates = [estimator(DenseOperator(MIXED), seed) for seed in range(REPLICATIONS)]
    assert honest([covers(estimate, truth) for estimate in estimates])
    assert not honest([covers(estimate, truth, scale=0.5) for estimate in estimates])


def test_a_normal_quantile_would_not_cover_with_three_probes():
    scale = norm.ppf(0.975) / student.ppf(0.975, 2)
    estimates = [hutchinson(DenseOperator(MIXED), probes=3, seed=seed) for seed in range(REPLICATIONS)]
    assert not honest([covers(estimate, MIXED.trace().item(), scale) for estimate in estimates])


def test_intervals_of_functions_cover():
    """One quadrature serves both functions; eigenvalues are those of a positive definite matrix."""
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
    """Rademacher: twice the squared off-diagonal entries; of the square of the matrix for the norm. Exact by dense."""
    probes, draws = 10, 400
    for estimator, matrix in ((hutchinson, MIXED), (frobenius_norm, MIXED @ MIXED)):
        off = matrix - torch.diag(matrix.diagonal())
        truth = math.sqrt(2 * (off**2).sum() / probes)
        estimates = [estimator(DenseOperator(MIXED), probes=probes, seed=seed) for seed in range(draws)]
        values = [e.value if estimator is hutchinson else e.value**2 for e in estimates]
        spread = np.std(values)
        assert abs(spread / truth - 1) < 4 / math.sqrt(2 * draws)
        gaussian = math.sqrt(2 * (matrix**2).sum() / probes)
        assert gaussian > truth  # the reason for Rademacher vectors


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
    assert estimate.products == dim
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
    z = torch.stack([2.0 * torch.randint(2, (DIM,), generator=generator, dtype=torch.int8) - 1 for _ in range(4)])
    squares = ((z.double() @ MIXED) ** 2).sum(1).numpy()
    half = student.ppf(0.95, 3) * squares.std(ddof=1) / 2
    estimate = frobenius_norm(DenseOperator(MIXED), probes=4, seed=5, confidence=0.9)
    assert estimate.value == pytest.approx(squares.mean() ** 0.5, rel=1e-12)
    assert estimate.upper == pytest.approx((squares.mean() + half) ** 0.5, rel=1e-10)
    assert estimate.lower == pytest.approx((squares.mean() - half) ** 0.5, rel=1e-10)
    assert estimate.standard_error == pytest.approx(squares.std(ddof=1) / 4 / estimate.value, rel=1e-10)
    one = DenseOperator(symmetric([1.0] + [0.0] * 29))
    assert frobenius_norm(one, probes=2).lower == 0
    assert frobenius_norm(FunctionOperator(torch.zeros_like, 30), probes=2) == Estimate(0.0, 0.0, 0.0, 0.95, 0.0, 2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_functions_of_diagonal_matrices_are_exact(dtype):
    """Closed forms: log of 20!, and negative and repeated eigenvalues in the effective dimension; d below the steps."""
    factorial = DenseOperator(torch.diag(torch.arange(1, 21, dtype=dtype)))
    estimate = trace_of_function(factorial, torch.log, probes=3)
    assert estimate.value == pytest.approx(math.lgamma(21), rel=1e-5)
    assert estimate.upper - estimate.lower < 1e-3
    assert estimate.products == 60
    eigenvalues = torch.tensor([-5.0, -5.0, 0.0, 1.0, 1.0, 3.0], dtype=dtype)
    estimate = effective_dimension(DenseOperator(torch.diag(eigenvalues)), 1.0, probes=3)
    assert estimate.value == pytest.approx(0.5 + 0.5 + 0.75, rel=1e-5)
    assert effective_dimension(DenseOperator(torch.eye(1, dtype=dtype)), 3.0).value == pytest.approx(0.25)


def test_first_and_second_moments_are_those_of_hutchinson():
    """The same probes: ``tr A`` and ``tr A^2`` by quadrature of any number of steps above 1."""
    operator = DenseOperator(MIXED)
    quadrature = lanczos_quadrature(operator, probes=5, steps=2, seed=6)
    plain, square = (estimator(operator, probes=5, seed=6) for estimator in (hutchinson, frobenius_norm))
    first, second = (
        trace_of_function(quadrature, function, confidence=0.9) for function in (lambda t: t, torch.square)
    )
    assert first.value == pytest.approx(plain.value, rel=1e-10)
    assert first.standard_error == pytest.approx(plain.standard_error, rel=1e-10)
    assert second.value == pytest.approx(square.value**2, rel=1e-10)
    assert first.confidence == 0.9
    assert first.upper < plain.upper


def test_effective_dimension_falls_with_c():
    quadrature = lanczos_quadrature(DenseOperator(MIXED))
    values = [effective_dimension(quadrature, c).value for c in (1e-9, 0.1, 1.0, 1e9)]
    assert values == sorted(values, reverse=True)
    assert values[0] < DIM
    assert values[-1] == pytest.approx(0, abs=1e-5)


def test_students_interval():
    """Against scipy's, along the first axis."""
    samples = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    numbers = samples.numpy()
    lower, _ = student.interval(0.9, 4, numbers.mean(0), numbers.std(0, ddof=1) / 5**0.5)
    np.testing.assert_allclose(numbers.mean(0) - half_width(samples, 0.9).numpy(), lower, rtol=1e-12)
    estimate = estimate_mean(samples[:, 1], 0.9, 7)
    assert estimate.lower == pytest.approx(lower[1])
    assert estimate.standard_error == pytest.approx(numbers[:, 1].std(ddof=1) / 5**0.5)
    assert (estimate.products, estimate.confidence) == (7, 0.9)


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
