"""The power method: its rate in closed form, its shift, and where it ends."""

import math

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes.spectra.operators import DenseOperator, FunctionOperator
from eigensam.landscapes.spectra.power_iteration import power_iterates, power_method


def _diagonal(*values):
    return DenseOperator(torch.diag(torch.tensor(values, dtype=torch.float64)))


def test_converges_with_the_ratio_of_eigenvalues():
    """The error of the vector falls by lambda_2/lambda_1 = 1/2 an iteration, that of the value by its square."""
    operator = _diagonal(4.0, 2.0, 0.5)
    errors = [4.0 - power_method(operator, p).values.item() for p in (10, 12)]
    assert errors[1] / errors[0] == pytest.approx(0.5**4, rel=0.01)
    assert not power_method(operator, 3).converged
    found = power_method(operator, 40)
    assert (found.converged, found.products, found.bound) == (True, 40, None)


def test_largest_magnitude_unless_shifted():
    assert power_method(_diagonal(1.0, -3.0), 50).values.item() == pytest.approx(-3.0, abs=1e-9)
    assert power_method(_diagonal(1.0, -3.0), 80, shift=4.0).values.item() == pytest.approx(1.0, abs=1e-9)


def test_the_residual_is_that_of_the_vector():
    operator = _diagonal(4.0, 2.0, 0.5)
    found = power_method(operator, 4, seed=1)
    v = found.vectors[0]
    assert found.residuals.item() == pytest.approx((operator @ v - found.values.item() * v).norm().item())


def test_stops_in_the_null_space():
    found = power_method(FunctionOperator(torch.zeros_like, 3), 5)
    assert (found.values.item(), found.residuals.item(), found.products) == (0.0, 0.0, 1)


def test_iterates_of_a_plain_matrix():
    matrix = torch.diag(torch.tensor([2.0, 1.0]))
    steps = power_iterates(matrix, torch.tensor([0.6, 0.8]))
    (first, product), (second, _) = next(steps), next(steps)
    assert product.tolist() == pytest.approx([1.2, 0.8])
    torch.testing.assert_close(second, matrix @ first / (matrix @ first).norm())


def test_same_seed_same_result_and_dtype_kept():
    operator = DenseOperator(torch.diag(torch.tensor([2.0, 1.0, 0.0])))
    one, two = (power_method(operator, 4, seed=3) for _ in range(2))
    assert one.vectors.dtype == torch.float32
    assert torch.equal(one.vectors, two.vectors)


def test_refusals():
    operator = FunctionOperator(lambda v: v, 3)
    with pytest.raises(InputError, match="needs at least 1"):
        power_method(operator, 0)
    with pytest.raises(InputError, match="tolerance = 0 is not positive"):
        power_method(operator, tolerance=0)
    with pytest.raises(InputError, match=r"start vector has shape \(2,\)"):
        power_method(operator, start=torch.ones(2))
    with pytest.raises(InputError, match="not finite"):
        power_method(FunctionOperator(lambda v: v * math.nan, 3))


@pytest.mark.parametrize("scale", [1e30, 1e20, 1.0])
def test_float32_at_any_scale(scale):
    operator = DenseOperator(torch.diag(torch.tensor([3.0, 1.0, 0.5]) * scale))
    assert power_method(operator, 40).values.item() == pytest.approx(3 * scale, rel=1e-5)
