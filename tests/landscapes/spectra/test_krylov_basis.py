"""Orthonormal rows against a dense QR."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes.spectra.krylov_basis import KrylovBasis
from eigensam.landscapes.spectra.operators import FunctionOperator


def _basis(rows, dim=50, limit=40):
    basis, generator = KrylovBasis(FunctionOperator(lambda v: v, dim), limit), torch.Generator().manual_seed(0)
    for _ in range(rows):
        basis.append(basis.outside(generator))
    return basis


def test_rows_stay_orthonormal_while_the_tensor_grows():
    basis = _basis(40)
    torch.testing.assert_close(basis.rows @ basis.rows.mT, torch.eye(40, dtype=torch.float64))
    w = torch.randn(2, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rest, coefficients = basis.split(w)
    torch.testing.assert_close(rest + coefficients @ basis.rows, w)
    q, _ = torch.linalg.qr(basis.rows.mT)
    torch.testing.assert_close(rest, w - w @ q @ q.mT)


@pytest.mark.parametrize("dim", [50, 70_000])
def test_compression_is_the_product_in_place(dim):
    basis = _basis(6, dim)
    weights, _ = torch.linalg.qr(torch.randn(6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    expected = weights.mT @ basis.rows
    torch.testing.assert_close(basis.combined(weights), expected)
    place = basis.rows.data_ptr()
    basis.compress(weights)
    torch.testing.assert_close(basis.rows, expected)
    assert basis.rows.data_ptr() == place


def test_symmetry_is_measured_against_the_accuracy():
    basis, found = _basis(2), torch.tensor([1.0, 0.5], dtype=torch.float64)
    basis.check_symmetry(found, found + 1e-9, 1.0)
    with pytest.raises(InputError, match=r"differ by 0\.1 where entries reach 1;"):
        basis.check_symmetry(found, found + 0.1, 1.0)
