"""Lanczos of several matrices in step: against dense eigenvalues, scipy and the one for a single matrix."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh

from eigensam.ground import InputError
from eigensam.landscapes.spectra.batched_lanczos import batched_lanczos
from eigensam.landscapes.spectra.lanczos_iteration import lanczos
from eigensam.landscapes.spectra.operators import DenseOperator

D = torch.float64
TOLERANCE = 1e-3
# A bulk, negative ends, and on top: apart, nearly alike, more alike than the tolerance, repeated, all alike.
TOPS = [[3.0, 2.0], [2.0, 1.99], [2.0, 1.9999], [2.0, 2.0], [1.5, 1.4999, 1.4998, 1.4997], [0.9, 0.5], [1.001, 1.0]]


def spectra(dim=400):
    bulk = torch.linspace(-1.2, 0.8, dim, dtype=D)
    return torch.stack([torch.cat([bulk[: dim - len(tops)], torch.tensor(tops, dtype=D)]) for tops in TOPS])


def matrices(values, seed=0):
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(*values.shape, values.shape[-1], generator=generator, dtype=D))
    return (q * values[:, None]) @ q.mT


VALUES = spectra().sort(1).values
DENSE = matrices(VALUES)


def product(v, a=DENSE):
    return torch.einsum("pij,pj->pi", a.to(v), v)


def found_within(found, tolerance):
    exact = VALUES[:, -1]
    return bool(((exact - found.values).abs() <= tolerance * exact.abs()).all())


def test_values_are_those_of_dense_matrices_also_where_they_nearly_meet():
    found = batched_lanczos(product, DENSE[:, 0], tolerance=TOLERANCE)
    assert bool(found.converged.all())
    assert found_within(found, TOLERANCE)
    assert bool((found.values <= VALUES[:, -1] + 1e-12).all())  # a Ritz value is a lower bound
    image = product(found.vectors)
    torch.testing.assert_close((found.vectors * image).sum(1), found.values, rtol=1e-12, atol=0)
    rest = torch.linalg.vector_norm(image - found.values[:, None] * found.vectors, dim=1)
    torch.testing.assert_close(rest, found.residuals, rtol=1e-6, atol=1e-12)


def test_too_few_products_are_seen():
    """Wrong on purpose: four products are not enough, are said not to be, and are not."""
    found = batched_lanczos(product, DENSE[:, 0], max_products=4)
    assert not found.converged.any()
    assert not found_within(found, TOLERANCE)
    assert found.products.tolist() == [4] * len(TOPS)
    torch.testing.assert_close(torch.linalg.vector_norm(found.vectors, dim=1), torch.ones(len(TOPS), dtype=D))


def test_a_rule_that_is_content_with_less_fails():
    """Wrong on purpose: with a tolerance of a third, values are not within a thousandth."""
    found = batched_lanczos(product, DENSE[:, 0], tolerance=0.3)
    assert bool(found.converged.all())
    assert not found_within(found, TOLERANCE)


def test_the_same_as_one_matrix_at_a_time_and_as_scipy():
    found = batched_lanczos(product, DENSE[:, 0])
    for p, a in enumerate(DENSE):
        single = lanczos(DenseOperator((a + a.mT) / 2), max_products=200)
        assert found.products[p] == single.products
        assert found.values[p] == pytest.approx(single.values.item(), rel=1e-9)
        (value,) = eigsh(a.numpy(), 1, which="LA", return_eigenvectors=False)
        assert found.values[p] == pytest.approx(value, rel=TOLERANCE)


def test_company_changes_rounding_only():
    together = batched_lanczos(product, DENSE[:, 0])
    for p in range(len(TOPS)):
        alone = batched_lanczos(lambda v, p=p: product(v, DENSE[p : p + 1]), DENSE[p : p + 1, 0])
        torch.testing.assert_close(alone.values, together.values[p : p + 1], rtol=1e-12, atol=0)
        assert alone.products[0] == together.products[p]
    again = batched_lanczos(product, DENSE[:, 0])
    assert torch.equal(again.values, together.values)
    assert torch.equal(again.vectors, together.vectors)


def test_the_second_value_on_the_complement_of_the_first():
    first = batched_lanczos(product, DENSE[:, 0])
    second = batched_lanczos(product, DENSE[:, 0], outside=first)
    scale = TOLERANCE * VALUES[:, -1].abs()
    assert bool(((second.values - VALUES[:, -2]).abs() <= 2 * scale).all())  # copies count
    # Ky Fan: the sum of both is at most that of the two largest.
    assert bool((first.values + second.values <= VALUES[:, -2:].sum(1) + 1e-12).all())
    assert (first.vectors * second.vectors).sum(1).abs().max() < 1e-12


def test_float32():
    found = batched_lanczos(lambda v: product(v), DENSE[:, 0].float())
    assert found.vectors.dtype == torch.float32
    assert found.values.dtype == D
    assert bool(found.converged.all())
    assert found_within(found, TOLERANCE)


@pytest.mark.parametrize(
    "values", [[2.0] * 6, [0.0] * 6, [-1.0, -1.0, -1.0, -1.0, -1.0, 3.0], [-5.0, -4.0, -3.0, -2.0, -1.5, -1.0]]
)
def test_small_and_closed_spaces_are_exact(values):
    """Krylov spaces of few distinct values close early."""
    a = matrices(torch.tensor([values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], dtype=D))
    found = batched_lanczos(lambda v: product(v, a), a[:, 0])
    assert bool(found.converged.all())
    np.testing.assert_allclose(found.values, [max(values), 6.0], atol=1e-12)
    second = batched_lanczos(lambda v: product(v, a), a[:, 0], outside=found)
    np.testing.assert_allclose(second.values, [sorted(values)[-2], 5.0], atol=1e-12)


def test_a_single_parameter():
    found = batched_lanczos(lambda v: 3 * v, torch.zeros(2, 1, dtype=D))
    assert found.values.tolist() == [3.0, 3.0]
    with pytest.raises(InputError, match="leave no eigenvalue to look for"):
        batched_lanczos(lambda v: 3 * v, torch.zeros(2, 1, dtype=D), outside=found)


def test_refusals():
    like = DENSE[:2, 0]
    a = DENSE[:2].clone()
    a[1] = a[1].triu()
    with pytest.raises(InputError, match="matrix 1 is not symmetric or not deterministic"):
        batched_lanczos(lambda v: product(v, a), like)
    with pytest.raises(InputError, match=r"products with matrices \[1\] are not finite"):
        batched_lanczos(lambda v: v * torch.tensor([[1.0], [math.nan]], dtype=D), like)
    with pytest.raises(InputError, match=r"products have shape \(1, 400\)"):
        batched_lanczos(lambda v: v[:1], like)
    with pytest.raises(InputError, match="tolerance = 2"):
        batched_lanczos(lambda v: v, like, tolerance=2)
    with pytest.raises(InputError, match="max_products = 0"):
        batched_lanczos(lambda v: v, like, max_products=0)
    with pytest.raises(InputError, match="leave no eigenvalue"):
        batched_lanczos(lambda v: v, like[:0])
