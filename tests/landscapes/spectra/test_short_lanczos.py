"""Against dense eigenvalues, the full Lanczos, and operators that are not what they should be."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import DenseOperator, FunctionOperator, lanczos
from eigensam.landscapes.spectra.short_lanczos import short_lanczos


def _matrix(d=40, dtype=torch.float64):
    a = torch.randn(d, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return ((a + a.T) / 2).to(dtype)


@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_whole_space_is_exact(dtype, accuracy):
    a = _matrix(12, dtype)
    pairs = short_lanczos(DenseOperator(a), 20)
    value, vector = (each[..., -1] for each in torch.linalg.eigh(a.double()))
    assert pairs.values.item() == pytest.approx(value.item(), rel=accuracy)
    assert abs(pairs.vectors[0].double() @ vector).item() == pytest.approx(1, abs=10 * accuracy)
    assert pairs.products == 12


@pytest.mark.parametrize("products", [1, 2, 5, 9])
def test_equals_the_ritz_pair_of_the_krylov_space(products):
    """From a basis by QR of powers, and by the other Lanczos."""
    a = _matrix()
    start = torch.randn(40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    powers = [start / start.norm()]
    for _ in range(products - 1):
        powers.append(a @ powers[-1] / (a @ powers[-1]).norm())
    q = torch.linalg.qr(torch.stack(powers, 1)).Q
    values, vectors = torch.linalg.eigh(q.T @ a @ q)
    truth = q @ vectors[:, -1]
    pairs = short_lanczos(DenseOperator(a), products, start=start)
    assert pairs.values.item() == pytest.approx(values[-1].item(), rel=1e-9)
    assert abs(pairs.vectors[0] @ truth).item() == pytest.approx(1, abs=1e-9)
    residual = (a @ pairs.vectors[0] - pairs.values[0] * pairs.vectors[0]).norm()
    assert pairs.residuals.item() == pytest.approx(residual.item(), rel=1e-6)
    if products >= 5:  # where the other one has no mind to stop before
        other = lanczos(DenseOperator(a), max_products=products, tolerance=1e-12, start=start)
        assert other.values.item() == pytest.approx(pairs.values.item(), rel=1e-9)


def test_an_eigenvector_as_start_and_the_zero_matrix():
    a = torch.diag(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    pairs = short_lanczos(DenseOperator(a), 3, start=torch.tensor([1.0, 0, 0], dtype=torch.float64))
    assert (pairs.values.item(), pairs.products, pairs.residuals.item()) == (1.0, 1, 0.0)
    assert short_lanczos(DenseOperator(torch.zeros(3, 3)), 3).values.item() == 0


def test_refusals():
    with pytest.raises(InputError, match="0 products"):
        short_lanczos(DenseOperator(_matrix()), 0)
    skew = FunctionOperator(lambda v: torch.roll(v, 1), 6)
    with pytest.raises(InputError, match="not symmetric or not deterministic"):
        short_lanczos(skew, 6)
    noisy = torch.Generator().manual_seed(7)
    other = FunctionOperator(lambda v: v + torch.randn(6, generator=noisy, dtype=v.dtype), 6)
    with pytest.raises(InputError, match="not symmetric or not deterministic"):
        short_lanczos(other, 6)
