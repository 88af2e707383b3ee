"""Repeated eigenvalues with their multiplicity: dense and scipy's eigenvalues, and one-vector Lanczos missing them."""

import math

import pytest
import torch
from scipy.sparse.linalg import eigsh

from eigensam.ground import InputError
from eigensam.landscapes.spectra.block_lanczos_iteration import block_lanczos
from eigensam.landscapes.spectra.lanczos_iteration import lanczos
from eigensam.landscapes.spectra.operators import DenseOperator, FunctionOperator

SPECTRUM = torch.cat([torch.tensor([5.0, 5.0, 5.0, 2.0, 1.0]), torch.linspace(-3, 0.5, 95)]).double()


def _symmetric(eigenvalues, seed=0):
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64))
    matrix = q @ torch.diag(values) @ q.mT
    return DenseOperator((matrix + matrix.mT) / 2)


def test_three_copies_that_one_vector_misses():
    operator = _symmetric(SPECTRUM)
    found = block_lanczos(operator, 4)
    assert found.converged
    assert found.values.tolist() == pytest.approx([5.0, 5.0, 5.0, 2.0], rel=1e-3)
    assert lanczos(operator, 3).values.tolist() == pytest.approx([5.0, 5.0, 5.0], rel=1e-3)
    # wrong on purpose: blocks of two see two copies; and it is said
    fewer = block_lanczos(operator, 3, block_size=2)
    assert fewer.values[2].item() == pytest.approx(2.0, rel=1e-2)
    assert not fewer.converged
    assert "eigenvalues beyond these were missed" in fewer.missing


@pytest.mark.parametrize(("which", "k"), [("largest", 4), ("smallest", 2), ("both", 2)])
@pytest.mark.parametrize("block_size", [None, 1, 3, 7])
def test_against_dense_and_scipy(which, k, block_size):
    operator = _symmetric(torch.cat([torch.tensor([9.0, 7.0, 6.5, 2.0]), torch.linspace(-8, 1, 76)]))
    found = block_lanczos(operator, k, which=which, block_size=block_size, tolerance=1e-7)
    assert found.converged
    code, number = {"largest": ("LA", k), "smallest": ("SA", k), "both": ("BE", 2 * k)}[which]
    truth = eigsh(operator.matrix.numpy(), number, which=code, return_eigenvectors=False)
    assert sorted(found.values.tolist()) == pytest.approx(sorted(truth), rel=1e-9)
    dense = torch.linalg.eigvalsh(operator.matrix)
    first = dense[0] if which == "smallest" else dense[-1]
    assert found.values[0].item() == pytest.approx(first.item(), rel=1e-9)
    errors = (operator @ found.vectors - found.values[:, None] * found.vectors).norm(dim=1)
    torch.testing.assert_close(errors, found.residuals, rtol=1e-3, atol=1e-9)


def test_float32_and_determinism():
    operator = DenseOperator(_symmetric(SPECTRUM).matrix.float())
    one, two = (block_lanczos(operator, 3, seed=2) for _ in range(2))
    assert one.vectors.dtype == torch.float32
    assert torch.equal(one.vectors, two.vectors)
    assert one.values.tolist() == pytest.approx([5.0] * 3, rel=1e-4)


@pytest.mark.parametrize("spectrum", [[2.0] * 7, [0.0] * 5, [4.0, 4.0, 1.0, 1.0, 1.0, 0.0], [3.0]])
def test_blocks_that_lose_their_rank(spectrum):
    k = min(2, len(spectrum))
    found = block_lanczos(_symmetric(spectrum), k)
    assert found.converged
    assert found.values.tolist() == pytest.approx(spectrum[:k], abs=1e-12)


def test_the_whole_space_and_too_few_products():
    spectrum = [3.0, 1.0, 0.5, -2.0, -2.5]
    assert block_lanczos(_symmetric(spectrum), 5, block_size=2).values.tolist() == pytest.approx(spectrum)
    found = block_lanczos(_symmetric(torch.linspace(0, 1, 100)), 3, max_products=10, tolerance=1e-9)
    assert (found.converged, found.products) == (False, 9)
    assert found.residuals.max() > 1e-3


def test_warm_start():
    operator = _symmetric(SPECTRUM)
    cold = block_lanczos(operator, 3, tolerance=1e-6)
    warm = block_lanczos(operator, 3, tolerance=1e-6, start=cold.vectors)
    assert warm.products < cold.products


def test_refusals():
    operator = FunctionOperator(lambda v: v, 3)
    skew = torch.tensor([[1.0, 2.0, 0.0], [-2.0, 3.0, 1.0], [0.0, -1.0, 2.0]], dtype=torch.float64)
    with pytest.raises(InputError, match="k = 4 eigenpairs of a 3-dimensional"):
        block_lanczos(operator, 4)
    for size in (0, 4):
        with pytest.raises(InputError, match=f"block_size = {size}; expected 1 <= block_size <= 3"):
            block_lanczos(operator, 1, block_size=size)
    with pytest.raises(InputError, match=r"start block has shape \(1, 2\); expected \(1, 3\)"):
        block_lanczos(operator, 1, start=torch.ones(1, 2))
    with pytest.raises(InputError, match="2 rows of the start block are linearly dependent"):
        block_lanczos(operator, 2, start=torch.ones(2, 3))
    with pytest.raises(InputError, match="start block is not finite"):
        block_lanczos(operator, 1, start=torch.full((1, 3), math.nan))
    with pytest.raises(InputError, match="not symmetric or not deterministic"):
        block_lanczos(FunctionOperator(lambda v: skew @ v, 3), 2)
    with pytest.raises(InputError, match="not finite"):
        block_lanczos(FunctionOperator(lambda v: v * math.nan, 3), 2)
