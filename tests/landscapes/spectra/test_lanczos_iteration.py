"""Ends of the spectrum: dense eigenvalues, scipy's Lanczos, restarts, and a trained network of 10^5 parameters."""

import math
import re

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import Checkpoint, NetworkLandscape, Quadratic
from eigensam.landscapes.spectra.lanczos_iteration import lanczos
from eigensam.landscapes.spectra.operators import DenseOperator, FunctionOperator
from eigensam.landscapes.spectra.power_iteration import power_method


def _symmetric(eigenvalues, seed=0):
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64))
    matrix = q @ torch.diag(values) @ q.mT
    return DenseOperator((matrix + matrix.mT) / 2)


def _diagonal(eigenvalues, dtype=torch.float64):
    values = torch.as_tensor(eigenvalues, dtype=dtype)
    return FunctionOperator(lambda v: values * v, len(values), dtype)


def _function(function, dim=3, dtype=torch.float64):
    return FunctionOperator(function, dim, dtype)


SPECTRUM = torch.cat([torch.tensor([9.0, 7.0, 6.5, 2.0]), torch.linspace(-8, 1, 76)])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("which", "k"), [("largest", 4), ("smallest", 3), ("both", 2)])
@pytest.mark.parametrize("basis_size", [None, 12])
def test_against_dense_and_scipy(seed, which, k, basis_size):
    operator = _symmetric(SPECTRUM, seed)
    found = lanczos(operator, k, which=which, tolerance=1e-8, basis_size=basis_size, max_products=400, seed=seed)
    assert found.converged or basis_size
    assert found.converged == (not found.missing)
    dense = torch.linalg.eigvalsh(operator.matrix)
    wanted = {"largest": dense.flip(0)[:k], "smallest": dense[:k], "both": torch.cat([dense.flip(0)[:k], dense[:k]])}
    torch.testing.assert_close(found.values, wanted[which], rtol=1e-10, atol=1e-10)
    code, number = {"largest": ("LA", k), "smallest": ("SA", k), "both": ("BE", 2 * k)}[which]
    truth = eigsh(operator.matrix.numpy(), number, which=code, return_eigenvectors=False)
    assert sorted(found.values.tolist()) == pytest.approx(sorted(truth), rel=1e-10)
    errors = (operator @ found.vectors - found.values[:, None] * found.vectors).norm(dim=1)
    torch.testing.assert_close(errors, found.residuals, rtol=1e-3, atol=1e-9)  # residuals are what they say
    torch.testing.assert_close(found.vectors @ found.vectors.mT, torch.eye(number, dtype=torch.float64))


def test_largest_algebraic_not_largest_magnitude():
    operator = DenseOperator(torch.diag(torch.tensor([1.0, -3.0], dtype=torch.float64)))
    assert lanczos(operator).values.item() == pytest.approx(1.0, abs=1e-12)
    # the wrong-on-purpose method for this task: plain power iteration returns -3
    assert power_method(operator, 50).values.item() == pytest.approx(-3.0, abs=1e-9)


@pytest.mark.parametrize("basis_size", [3, 4, 8])
def test_tiny_bases_restart_and_find_the_same(basis_size):
    """Of 12 products a basis of 3 vectors makes 10 cycles; starting anew with the best vector alone is far slower."""
    operator = _diagonal(torch.cat([torch.tensor([5.0, 4.5]), torch.linspace(-1, 1, 300)]))
    found = lanczos(operator, basis_size=basis_size, tolerance=1e-8, max_products=200)
    assert found.converged
    assert found.values.item() == pytest.approx(5.0, rel=1e-12)
    assert found.products <= 45
    # wrong on purpose: the restart forgets all but the best vector (two products a cycle)
    v, products = None, 0
    while products < found.products:
        step = lanczos(operator, max_products=2, start=v, tolerance=1e-8)
        v, products = step.vectors[0], products + 2
    assert 5.0 - step.values.item() > 1e3 * (5.0 - found.values.item())
    assert step.residuals.item() > 10 * found.residuals.item()


def test_restarts_in_float32_stay_orthonormal():
    operator = _diagonal(torch.cat([torch.tensor([3.0, 2.9, 2.8]), torch.linspace(-2, 2.5, 500)]), torch.float32)
    found = lanczos(operator, 3, basis_size=6, tolerance=1e-3, max_products=500)
    assert not found.converged  # three vectors are too few to check that no others were missed, which is said
    assert re.match(r"the values have settled, but .* is open .*larger basis_size", found.missing)
    assert found.products > 30
    assert found.vectors.dtype == torch.float32
    assert found.values.tolist() == pytest.approx([3.0, 2.9, 2.8], rel=1e-4)
    torch.testing.assert_close(found.vectors @ found.vectors.mT, torch.eye(3), atol=2e-5, rtol=0)


def test_ritz_values_are_lower_bounds_and_say_when_not_converged():
    operator = _symmetric(torch.linspace(0, 1, 200))
    found = lanczos(operator, max_products=5, tolerance=1e-10)
    assert (found.converged, found.products) == (False, 5)
    assert found.values.item() < 1.0
    assert found.residuals.item() > 1e-3


@pytest.mark.parametrize("spectrum", [[2.0, 2.0, 2.0], [5.0, 5.0, 1.0, 1.0, 1.0], [0.0, 0.0], [3.0]])
def test_repeated_eigenvalues_and_closed_krylov_spaces(spectrum):
    k = min(2, len(spectrum))
    found = lanczos(_symmetric(spectrum), k)
    assert found.values.tolist() == pytest.approx(spectrum[:k], abs=1e-12)
    assert found.converged
    # the space closed: what the start saw is the whole spectrum, but for what rounding may hide
    assert found.bound.lower == pytest.approx(min(spectrum), abs=1e-10)
    assert found.bound.upper == pytest.approx(max(spectrum), abs=1e-10)
    assert found.bound.upper >= max(found.values.tolist())


def test_all_eigenvalues_and_one_dimension():
    spectrum = [3.0, 1.0, 0.5, -2.0]
    assert lanczos(_symmetric(spectrum), 4).values.tolist() == pytest.approx(spectrum)
    assert lanczos(_symmetric(spectrum), 2, which="both").values.tolist() == pytest.approx([3.0, 1.0, -2.0, 0.5])
    one = lanczos(_symmetric([-1.5]))
    assert (one.products, one.converged, one.values.item()) == (1, True, pytest.approx(-1.5))
    assert (one.bound.lower, one.bound.upper) == (pytest.approx(-1.5), pytest.approx(-1.5))


def test_a_closed_space_goes_on_through_a_restart():
    spectrum = torch.cat([torch.full((5,), 2.0), torch.zeros(60)])
    found = lanczos(_symmetric(spectrum), 4, basis_size=7, max_products=60)
    assert found.values.tolist() == pytest.approx([2.0] * 4)


def test_an_unlucky_start_orthogonal_to_the_top_eigenvector():
    start = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    found = lanczos(_diagonal([5.0, 1.0, 1.0]), start=start)
    assert found.values.item() == pytest.approx(5.0)
    assert found.bound is None  # nothing random stands behind it


def test_warm_start_saves_products():
    operator = _symmetric(torch.cat([torch.tensor([3.0]), torch.linspace(0, 2.9, 300)]))
    cold = lanczos(operator, tolerance=1e-6, max_products=200)
    warm = lanczos(operator, tolerance=1e-6, start=cold.vectors[0])
    assert warm.products < 0.75 * cold.products
    assert warm.bound is None
    assert 3.0 > warm.rest.upper >= 2.9  # a start may be orthogonal to others, so they have been looked for
    quick = lanczos(operator, tolerance=1e-6, start=cold.vectors[0], max_products=5)
    assert (quick.converged, quick.rest) == (False, None)
    assert "nothing is known" in quick.missing


@pytest.mark.parametrize("noise", [1e-3, 1e-5, 1e-7])
def test_a_warm_start_at_the_wrong_eigenvector_does_not_stay_there(noise):
    """Its residual is small at once; stopping then would return 2 for diag(3, 2, 1 ... 0)."""
    start = noise * torch.randn(202, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start[1] = 1.0
    operator = _diagonal(torch.cat([torch.tensor([3.0, 2.0]), torch.linspace(0, 1, 200)]))
    found = lanczos(operator, tolerance=1e-2, start=start)
    assert found.values.item() == pytest.approx(3.0, rel=1e-2)
    assert lanczos(operator, max_products=1, start=start).residuals.item() < 0.03  # the trap


@pytest.mark.parametrize("outliers", [1, 4, 10])
def test_few_products_for_outliers_above_a_bulk(outliers):
    """Spectra as of trained networks, 10^5 eigenvalues: 1e-3 in at most ten products."""
    generator = torch.Generator().manual_seed(0)
    bulk = 0.02 * torch.randn(100_000 - outliers, generator=generator, dtype=torch.float64)
    operator = _diagonal(torch.cat([0.7 ** torch.arange(outliers, dtype=torch.float64), bulk]))
    for seed in range(3):
        found = lanczos(operator, seed=seed)
        assert found.converged
        assert found.products <= 10
        assert found.values.item() == pytest.approx(1.0, rel=1e-3)
        assert found.bound.upper >= 1.0
    if outliers > 1:  # wrong on purpose: the power method with as many products
        power = power_method(operator, found.products, seed=2)
        assert 1 - power.values.item() > 10 * (1 - found.values.item())
        assert power.residuals.item() > 1e-3  # and it could not say that it is near


def test_what_is_said_to_have_converged_has():
    """Random spectra with bulks, outliers and clusters of all widths: at most 5 in 100 are off, none by three times."""
    generator = torch.Generator().manual_seed(0)
    errors = []
    for seed in range(100):
        bulk = 2 * torch.rand(300, generator=generator, dtype=torch.float64) - 1
        top = 0.9 + 10 ** (-3 * torch.rand(2, generator=generator, dtype=torch.float64))
        spectrum = torch.cat([bulk, top])
        found = lanczos(_diagonal(spectrum), tolerance=1e-3, seed=seed)
        if found.converged:
            errors.append(float(1 - found.values / spectrum.max()))
    assert len(errors) > 80
    assert min(errors) > -1e-12
    assert sum(error > 1e-3 for error in errors) <= 5
    assert max(errors) < 3e-3
    # wrong on purpose: after four products hardly any is
    assert lanczos(_diagonal(spectrum), max_products=4).values.item() < 0.99 * spectrum.max()


def test_ten_products_give_lambda_1_of_a_trained_network(trained, digits):
    """10^5 parameters, relative 1e-4; truths: a long Lanczos in float64 and scipy's implicitly restarted one."""

    def operator(dtype):
        f = NetworkLandscape.from_tensors(
            Checkpoint.read(trained).network(trained).to(dtype),
            cross_entropy,
            digits.train_inputs.to(dtype),
            digits.train_targets,
        )
        x = f.point()
        return FunctionOperator(lambda v: f.hessian_product(x, v), f.dim, dtype)

    double, single = operator(torch.float64), operator(torch.float32)
    assert single.dim > 100_000
    truth = lanczos(double, max_products=60, tolerance=1e-7)
    assert truth.converged
    (other,) = eigsh(double.to_scipy(), 1, which="LA", v0=np.ones(double.dim), tol=1e-8, return_eigenvectors=False)
    assert truth.values.item() == pytest.approx(other, rel=1e-7)
    for seed in range(3):
        found = lanczos(single, max_products=10, tolerance=1e-12, seed=seed)
        assert found.products == 10
        assert found.values.item() == pytest.approx(truth.values.item(), rel=1e-4)
        assert found.bound.upper > other
        quick = lanczos(single, seed=seed)
        assert quick.converged
        assert quick.products <= 10
        assert quick.values.item() == pytest.approx(other, rel=1e-3)
    # wrong on purpose: the power method with the same ten products misses that tolerance
    assert power_method(single, 10).values.item() != pytest.approx(other, rel=1e-4)


def test_the_basis_grows_as_needed():
    found = lanczos(_symmetric(torch.linspace(0, 1, 60)), max_products=50, basis_size=50, tolerance=1e-12)
    assert found.products > 32
    assert found.values.item() == pytest.approx(1.0, rel=1e-9)


def test_analytic_landscape():
    f = Quadratic([[2.0, 1.0], [1.0, 2.0]], [[0.0, 0.0]])
    x = torch.zeros(2, dtype=torch.float64)
    found = lanczos(_function(lambda v: f.hessian_product(x, v), 2), 2)
    assert found.values.tolist() == pytest.approx([3.0, 1.0])


@pytest.mark.parametrize("basis_size", [None, 5])
def test_same_seed_same_result_and_dtype_kept(basis_size):
    operator = _diagonal(torch.linspace(-1, 1, 50), torch.float32)
    one, two = (lanczos(operator, 2, seed=3, basis_size=basis_size) for _ in range(2))
    assert one.vectors.dtype == torch.float32
    assert one.values.dtype == one.residuals.dtype == torch.float64
    assert torch.equal(one.vectors, two.vectors)
    assert one.bound == two.bound
    assert not torch.equal(one.vectors, lanczos(operator, 2, seed=4, basis_size=basis_size).vectors)


def test_the_bound_uses_what_is_known():
    spectrum = torch.linspace(0, 1, 400)
    plain = lanczos(_diagonal(spectrum), max_products=20, tolerance=1e-12)
    values = spectrum.double()
    known = FunctionOperator(lambda v: values * v, 400, semidefinite=True)
    semidefinite = lanczos(known, max_products=20, tolerance=1e-12)
    assert semidefinite.bound.lower == 0.0
    assert 1.0 <= semidefinite.bound.upper < plain.bound.upper
    assert plain.bound.lower < 0 < 1 < plain.bound.upper
    assert lanczos(_diagonal(spectrum), max_products=20, tolerance=1e-12, delta=0.5).bound.upper < plain.bound.upper
    # after a restart nothing is added to it
    short = lanczos(_diagonal(spectrum), max_products=10, basis_size=10, tolerance=1e-12)
    assert lanczos(_diagonal(spectrum), max_products=60, basis_size=10, tolerance=1e-12).bound == short.bound


def test_progress_is_told_after_each_product():
    calls = []
    found = lanczos(_symmetric(SPECTRUM), 2, callback=lambda *numbers: calls.append(numbers))
    assert [call[0] for call in calls] == list(range(1, found.products + 1))
    values = [call[1] for call in calls]
    assert values == sorted(values)
    assert calls[-1][1:] == (found.values[0].item(), found.residuals[0].item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_operators_that_are_not_symmetric_or_not_the_same_twice(dtype):
    matrix = torch.randn(30, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    with pytest.raises(InputError, match="not symmetric or not deterministic"):
        lanczos(_function(lambda v: matrix @ v, 30, dtype))
    symmetric, noise = matrix + matrix.mT, torch.Generator().manual_seed(1)

    def shuffled(v):
        other = torch.randn(30, 30, generator=noise, dtype=torch.float64).to(dtype)
        return (symmetric + 0.1 * (other + other.mT)) @ v

    with pytest.raises(InputError, match=r"no shuffling loader.*model\.eval\(\).*accuracy"):
        lanczos(_function(shuffled, 30, dtype), tolerance=1e-6)

    def rounded(v):  # ten times what float32 Hessian products are off by
        product = symmetric.double() @ v.double()
        error = torch.randn(30, generator=noise, dtype=torch.float64)
        return (product + 1e-4 * product.norm() * error / error.norm()).to(dtype)

    careful = FunctionOperator(rounded, 30, dtype, accuracy=1e-4)
    truth = torch.linalg.eigvalsh(symmetric.double())[-1].item()
    assert lanczos(careful).values.item() == pytest.approx(truth, rel=2e-3)
    assert lanczos(careful, basis_size=6).values.item() == pytest.approx(truth, rel=2e-3)


def test_products_that_are_not_finite():
    with pytest.raises(InputError, match="not finite"):
        lanczos(_function(lambda v: v * math.nan))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k = 0 eigenpairs of a 3-dimensional operator; expected 1 <= k <= 3"),
        ({"k": 4}, "k = 4 eigenpairs of a 3-dimensional"),
        ({"k": 2, "which": "both"}, "k = 2 eigenpairs at each end of a 3-dimensional operator; expected 1 <= k <= 1"),
        ({"which": "middle"}, "unknown end of the spectrum 'middle'; choose one of: largest, smallest, both"),
        ({"k": 2, "max_products": 1}, "max_products = 1 cannot give 2 eigenpairs; use at least 2"),
        ({"which": "both", "max_products": 1}, "max_products = 1 cannot give 2"),
        ({"tolerance": 0}, "tolerance = 0 is no relative accuracy"),
        ({"tolerance": math.nan}, "tolerance = nan is no relative accuracy"),
        ({"delta": 0.0}, "delta = 0.0 is not a probability of failure"),
        ({"delta": 1.0}, "delta = 1.0 is not a probability of failure"),
        ({"basis_size": 2}, "basis_size = 2 cannot hold 1 Ritz vectors .* use 3"),
        ({"start": torch.ones(2)}, r"start vector has shape \(2,\)"),
        ({"start": torch.zeros(3)}, "start vector is zero or not finite"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        lanczos(_function(lambda v: v), **arguments)


def test_a_direction_that_float32_hides_is_within_the_bound():
    """One eigenvalue of 1.01 above a million ones: its share of a random start is below the accuracy of products."""
    d = 100_000
    v = torch.nn.functional.normalize(torch.randn(d, generator=torch.Generator().manual_seed(0)), dim=0)
    for semidefinite in (False, True):
        operator = FunctionOperator(lambda x: x + 0.01 * (v @ x) * v, d, torch.float32, semidefinite=semidefinite)
        assert all(lanczos(operator, seed=seed).bound.upper >= 1.01 for seed in range(20))


def test_semidefinite_is_held_against_the_evidence():
    with pytest.raises(InputError, match="said to be semidefinite, but a Ritz value is -1"):
        lanczos(FunctionOperator(lambda v: -v, 5, semidefinite=True))


def test_a_function_that_works_in_place():
    scale = torch.arange(50, dtype=torch.float64)
    found = lanczos(FunctionOperator(lambda v: v.mul_(scale), 50), tolerance=1e-8)
    assert found.values.item() == pytest.approx(49)
