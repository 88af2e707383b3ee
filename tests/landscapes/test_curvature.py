"""Top of the spectrum: dense eigenvalues, scipy's Lanczos, and a trained network of 10^5 parameters."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch.nn.functional import cross_entropy

from eigensam.landscapes import (
    Checkpoint,
    InputError,
    NetworkLandscape,
    Quadratic,
    alignment,
    lanczos,
    power_method,
    top_eigenpairs,
)


def _symmetric(eigenvalues, seed=0):
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64))
    return q @ torch.diag(values) @ q.mT


def test_largest_algebraic_not_largest_magnitude():
    matrix = torch.diag(torch.tensor([1.0, -3.0], dtype=torch.float64))
    assert lanczos(lambda v: matrix @ v, 2).values.item() == pytest.approx(1.0, abs=1e-12)
    # the wrong-on-purpose method for this task: plain power iteration returns -3
    assert power_method(lambda v: matrix @ v, 2, 50).values.item() == pytest.approx(-3.0, abs=1e-9)
    assert power_method(lambda v: matrix @ v, 2, 80, shift=4.0).values.item() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_against_dense_and_scipy(seed):
    spectrum = torch.cat([torch.tensor([9.0, 7.0, 6.5, 2.0]), torch.linspace(-8, 1, 76)])
    matrix = _symmetric(spectrum, seed)
    found = lanczos(lambda v: matrix @ v, 80, 4, tolerance=1e-8, seed=seed)
    assert found.converged
    assert found.values.tolist() == pytest.approx([9.0, 7.0, 6.5, 2.0], rel=1e-10)
    truth = eigsh(matrix.numpy(), 4, which="LA", return_eigenvectors=False)
    assert found.values.tolist() == pytest.approx(sorted(truth, reverse=True), rel=1e-10)
    errors = (found.vectors @ matrix - found.values[:, None] * found.vectors).norm(dim=1)
    torch.testing.assert_close(errors, found.residuals, rtol=1e-3, atol=1e-9)  # residuals are what they say
    torch.testing.assert_close(found.vectors @ found.vectors.mT, torch.eye(4, dtype=torch.float64))


def test_ritz_values_are_lower_bounds_and_say_when_not_converged():
    matrix = _symmetric(torch.linspace(0, 1, 200))
    found = lanczos(lambda v: matrix @ v, 200, max_hvps=5, tolerance=1e-10)
    assert (found.converged, found.hvps) == (False, 5)
    assert found.values.item() < 1.0
    assert found.residuals.item() > 1e-3


@pytest.mark.parametrize("spectrum", [[2.0, 2.0, 2.0], [5.0, 5.0, 1.0, 1.0, 1.0], [0.0, 0.0], [3.0]])
def test_repeated_eigenvalues_and_closed_krylov_spaces(spectrum):
    matrix = _symmetric(spectrum)
    k = min(2, len(spectrum))
    found = lanczos(lambda v: matrix @ v, len(spectrum), k)
    assert found.values.tolist() == pytest.approx(spectrum[:k], abs=1e-12)
    assert found.converged


def test_an_unlucky_start_orthogonal_to_the_top_eigenvector():
    matrix = torch.diag(torch.tensor([5.0, 1.0, 1.0], dtype=torch.float64))
    start = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    assert lanczos(lambda v: matrix @ v, 3, start=start).values.item() == pytest.approx(5.0)


def test_warm_start_saves_products():
    matrix = _symmetric(torch.cat([torch.tensor([3.0]), torch.linspace(0, 2.9, 300)]))
    cold = lanczos(lambda v: matrix @ v, 301, tolerance=1e-6, max_hvps=200)
    warm = lanczos(lambda v: matrix @ v, 301, tolerance=1e-6, start=cold.vectors[0])
    assert warm.hvps == 5 < cold.hvps


def test_a_warm_start_at_the_wrong_eigenvector_does_not_stay_there():
    """Its residual is small at once; stopping then would return 2 for diag(3, 2, 1 ... 0)."""
    values = torch.cat([torch.tensor([3.0, 2.0]), torch.linspace(0, 1, 200)]).double()
    start = 1e-3 * torch.randn(202, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start[1] = 1.0
    found = lanczos(lambda v: values * v, 202, tolerance=1e-2, start=start)
    assert found.values.item() == pytest.approx(3.0, rel=1e-2)


def test_power_method_converges_with_the_ratio_of_eigenvalues():
    """The error of the vector falls by lambda_2/lambda_1 = 1/2 an iteration, that of the value by its square."""
    matrix = _symmetric([4.0, 2.0, 0.5])
    errors = [4.0 - power_method(lambda v: matrix @ v, 3, p).values.item() for p in (10, 12)]
    assert errors[1] / errors[0] == pytest.approx(0.5**4, rel=0.01)
    assert not power_method(lambda v: matrix @ v, 3, 3).converged
    found = power_method(lambda v: matrix @ v, 3, 40)
    assert found.converged
    assert found.hvps == 40


def test_power_method_stops_in_the_null_space():
    found = power_method(torch.zeros_like, 3, 5)
    assert (found.values.item(), found.residuals.item(), found.hvps) == (0.0, 0.0, 1)


def test_ten_products_give_lambda_1_of_a_trained_network(trained, digits):
    """10^5 parameters, relative 1e-4; truths: a long Lanczos in float64 and scipy's implicitly restarted one."""
    model = Checkpoint.read(trained).network(trained)
    f = NetworkLandscape.from_tensors(model, cross_entropy, digits.train_inputs, digits.train_targets)
    assert f.dim > 100_000
    double = NetworkLandscape.from_tensors(
        Checkpoint.read(trained).network(trained).double(),
        cross_entropy,
        digits.train_inputs.double(),
        digits.train_targets,
    )
    x = double.point()
    truth = top_eigenpairs(double, x, max_hvps=60, tolerance=1e-9)
    assert truth.converged
    operator = LinearOperator(
        (f.dim, f.dim), lambda v: double.hessian_product(x, torch.from_numpy(v.ravel())).numpy(), dtype=np.float64
    )
    (other,) = eigsh(operator, 1, which="LA", v0=np.ones(f.dim), tol=1e-8, return_eigenvectors=False)
    assert truth.values.item() == pytest.approx(other, rel=1e-7)
    for seed in range(3):
        found = top_eigenpairs(f, f.point(), max_hvps=10, tolerance=1e-12, seed=seed)
        assert found.hvps == 10
        assert found.values.item() == pytest.approx(truth.values.item(), rel=1e-4)
    # wrong on purpose: the power method with the same ten products misses that tolerance
    power = power_method(lambda v: f.hessian_product(f.point(), v), f.dim, 10, dtype=torch.float32)
    assert power.values.item() != pytest.approx(truth.values.item(), rel=1e-4)


def test_the_basis_grows_as_needed():
    matrix = _symmetric(torch.linspace(0, 1, 60))
    found = lanczos(lambda v: matrix @ v, 60, max_hvps=50, tolerance=1e-12)
    assert found.hvps > 32
    assert found.values.item() == pytest.approx(1.0, rel=1e-9)


def test_analytic_landscape():
    f = Quadratic([[2.0, 1.0], [1.0, 2.0]], [[0.0, 0.0]])
    found = top_eigenpairs(f, torch.zeros(2, dtype=torch.float64), 2)
    assert found.values.tolist() == pytest.approx([3.0, 1.0])


def test_same_seed_same_result_and_dtype_kept():
    matrix = _symmetric(torch.linspace(-1, 1, 50)).float()
    one, two = (lanczos(lambda v: matrix @ v, 50, 2, dtype=torch.float32, seed=3) for _ in range(2))
    assert one.vectors.dtype == torch.float32
    assert torch.equal(one.vectors, two.vectors)


def test_alignment():
    v = torch.tensor([0.0, 1.0])
    assert alignment(torch.tensor([[0.0, -2.0], [5.0, 0.0]]), v).tolist() == [1.0, 0.0]


def test_refusals():
    def identity(v):
        return v

    for k in (0, 4):
        with pytest.raises(InputError, match=f"k = {k} eigenpairs of a 3-dimensional operator"):
            lanczos(identity, 3, k)
    with pytest.raises(InputError, match="max_hvps = 1 cannot give 2 eigenpairs"):
        lanczos(identity, 3, 2, max_hvps=1)
    with pytest.raises(InputError, match="tolerance = 0 is not positive"):
        lanczos(identity, 3, tolerance=0)
    with pytest.raises(InputError, match=r"start vector has shape \(2,\)"):
        lanczos(identity, 3, start=torch.ones(2))
    with pytest.raises(InputError, match="start vector is zero or not finite"):
        lanczos(identity, 3, start=torch.zeros(3))
    with pytest.raises(InputError, match="Hessian-vector product 1 is not finite"):
        lanczos(lambda v: v * float("nan"), 3)
    with pytest.raises(InputError, match="needs at least 1"):
        power_method(identity, 3, 0)
    with pytest.raises(InputError, match="product 2 is not finite"):
        power_method(lambda v, calls=[]: v / (0.0 if calls else calls.append(1) or 1.0), 3, 5)
