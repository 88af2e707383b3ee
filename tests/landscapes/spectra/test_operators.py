"""Operators: rows and single vectors, types, scipy, and what they refuse."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh, lobpcg

from eigensam.ground import InputError
from eigensam.landscapes import DenseOperator, FunctionOperator

D = torch.float64


def symmetric(dim, dtype=D):
    a = torch.randn(dim, dim, generator=torch.Generator().manual_seed(0), dtype=D)
    return (a + a.mT).to(dtype)


@pytest.mark.parametrize("kind", ["dense", "function"])
def test_rows_are_single_products_and_dense_is_the_matrix(kind):
    a = symmetric(6)
    operator = DenseOperator(a) if kind == "dense" else FunctionOperator(lambda v: a @ v, 6)
    rows = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=D)
    torch.testing.assert_close(operator @ rows, rows @ a, rtol=1e-13, atol=1e-13)
    for row in rows:
        torch.testing.assert_close(operator @ row, a @ row, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(operator.dense(), a, rtol=1e-13, atol=1e-13)
    assert operator.shape == (6, 6)
    assert (operator @ rows[:0]).shape == (0, 6)


@pytest.mark.parametrize("dtype", [torch.float32, D, torch.bfloat16])
def test_a_product_has_the_type_of_its_vector_and_is_computed_in_the_operators(dtype):
    operator = DenseOperator(symmetric(5))
    v = torch.ones(5, dtype=dtype)
    product = operator @ v
    assert (product.dtype, product.device) == (dtype, v.device)
    assert torch.equal(product, (operator.matrix @ v.double()).to(dtype))
    moving = v.clone().requires_grad_()
    assert not (operator @ moving).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, D, torch.bfloat16, torch.float16])
def test_scipy_takes_single_vectors_columns_and_blocks(dtype):
    a = torch.diag(torch.tensor([5.0, 3.0, 2.0] + [0.5] * 17, dtype=D))
    a[0, 1] = a[1, 0] = 0.25
    operator = DenseOperator(a.to(dtype), semidefinite=True)
    linear = operator.to_scipy()
    assert linear.dtype == (np.float64 if dtype == D else np.float32)
    columns = np.random.default_rng(0).standard_normal((20, 3))
    tolerance = 1e-12 if dtype == D else 0.03 if dtype == torch.bfloat16 else 0.01
    for given in (columns, columns[:, :1], columns[:, 0]):
        np.testing.assert_allclose(linear @ given, a.numpy() @ given, rtol=0, atol=tolerance)
        np.testing.assert_allclose(linear.T @ given, a.numpy() @ given, rtol=0, atol=tolerance)
    if dtype in (torch.float32, D):
        truth = np.linalg.eigvalsh(a.numpy())[-2:]
        np.testing.assert_allclose(eigsh(linear, 2, which="LA", v0=columns[:, 0])[0], truth, rtol=1e-5)
        block = lobpcg(linear, columns.astype(linear.dtype), maxiter=200, tol=1e-4)[0]
        np.testing.assert_allclose(np.sort(block)[-2:], truth, rtol=1e-4)


def test_accuracy_is_100_units_of_rounding_unless_it_is_said():
    assert FunctionOperator(lambda v: v, 2).accuracy == 100 * torch.finfo(D).eps
    assert FunctionOperator(lambda v: v, 2, torch.float32, accuracy=0.1).accuracy == 0.1
    assert not FunctionOperator(lambda v: v, 2).semidefinite


def test_bad_input():
    operator = FunctionOperator(lambda v: 2 * v, 3)
    for shape in [(2,), (3, 2), (1, 1, 3), ()]:
        with pytest.raises(InputError, match=r"a vector has shape .*; this operator takes \(3,\) or rows \(k, 3\)"):
            operator @ torch.ones(shape, dtype=D)
    for vector, found in [
        (torch.ones(3, dtype=torch.int64), "dtype torch.int64"),  # its product would be cut to integers
        (torch.ones(3, dtype=torch.complex64), "dtype torch.complex64"),
        ([1.0, 2.0, 3.0], "type list"),
    ]:
        with pytest.raises(InputError, match=f"a vector has {found}; expected a tensor of a real floating type"):
            operator @ vector
    with pytest.raises(InputError, match="a product is not finite"):
        operator @ torch.tensor([1.0, float("nan"), 0.0])
    with pytest.raises(InputError, match="a product is not finite"):
        FunctionOperator(lambda v: v / 0, 3) @ torch.ones(3)
    with pytest.raises(InputError, match=r"a product has shape \(2,\); expected that of the vector, \(3,\)"):
        FunctionOperator(lambda v: v[:2], 3) @ torch.ones(3)
    with pytest.raises(InputError, match="dimension 0; it must be at least 1"):
        FunctionOperator(lambda v: v, 0)
    for dtype in (torch.int32, torch.complex128):
        with pytest.raises(InputError, match=f"dtype {dtype}; expected a real floating type"):
            FunctionOperator(lambda v: v, 2, dtype)
    with pytest.raises(InputError, match=r"a matrix has shape \(2, 3\); expected a square one"):
        DenseOperator(torch.ones(2, 3))
    with pytest.raises(InputError, match="differs from its transpose by 1; expected a symmetric, finite one"):
        DenseOperator(torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(InputError, match="differs from its transpose by nan"):
        DenseOperator(torch.tensor([[float("nan"), 1.0], [1.0, 1.0]]))
