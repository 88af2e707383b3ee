"""Closed forms of the quadratic landscape, and what it refuses."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Quadratic

A = [[3.0, 1.0], [1.0, 2.0]]


def test_gradient_and_noise_in_closed_form(f64):
    a = torch.tensor(A, dtype=f64)
    c = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -0.5]], dtype=f64)
    f, x = Quadratic(a, c), torch.tensor([0.3, -0.7], dtype=f64)
    torch.testing.assert_close(f.gradient(x), a @ (x - c.mean(0)))
    g = f.gradients(x) - f.gradient(x)
    torch.testing.assert_close(g.T @ g / 3, a @ torch.cov(c.T, correction=0) @ a)
    assert f.third_products(x, x).abs().max() == 0


def test_one_matrix_for_each_minibatch(f64):
    """Minibatch by minibatch it is the landscape of that matrix; the same matrix for all is what one matrix is."""
    generator = torch.Generator().manual_seed(0)
    roots, centres = torch.randn(3, 2, 2, dtype=f64, generator=generator), torch.randn(3, 2, dtype=f64)
    matrices = roots @ roots.mT
    f, x = Quadratic(matrices, centres), torch.randn(5, 1, 2, dtype=f64, generator=generator)
    assert f.hessian.shape == (3, 2, 2)
    for m in range(3):
        alone = Quadratic(matrices[m], centres[m : m + 1])
        torch.testing.assert_close(f.losses(x)[:, m], alone.losses(x)[:, 0])
        torch.testing.assert_close(f.gradients(x)[:, m], alone.gradients(x)[:, 0])
    same, one = Quadratic([A, A, A], centres), Quadratic(A, centres)
    assert one.hessian.shape == (2, 2)
    torch.testing.assert_close(same.gradients(x), one.gradients(x))
    torch.testing.assert_close(same.losses(x), one.losses(x))


def test_decimals_are_read_in_full_precision():
    f = Quadratic([[0.1]], [[0.2]])
    assert f.hessian.item() == 0.1
    assert f.centres.item() == 0.2


def test_asymmetry_by_rounding_is_averaged():
    f = Quadratic([[1.0, 0.5 + 1e-9], [0.5 - 1e-9, 1.0]], [[0.0, 0.0]])
    assert torch.equal(f.hessian, f.hessian.mT)
    assert f.hessian[0, 1].item() == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize(
    ("hessian", "centres", "message"),
    [
        ([[1.0, 2.0], [0.0, 1.0]], [[0.0, 0.0]], r"not a symmetric .* give \(A \+ A.T\) / 2"),
        ([A, [[1.0, 2.0], [0.0, 1.0]]], [[0.0, 0.0]] * 2, "not a symmetric"),
        ([[1.0, 2.0]], [[0.0, 0.0]], r"shape \(1, 2\) is not a symmetric"),
        (A, [[0.0, 0.0, 0.0]], r"centres has shape \(1, 3\); expected \(M, 2\)"),
        ([A, A], [[0.0, 0.0]] * 3, r"2 matrices in hessian and 3 centres; give one .* \(2, 2\) .* or \(3, 2, 2\)"),
        ([1.0], [[0.0]], "hessian's entries have shape"),
        ([[float("nan")]], [[0.0]], "hessian's entries contain nan"),
        ([[1.0]], [[float("inf")]], "centres contain inf"),
        ([[1.0]], [0.0], "centres have shape"),
        ([[1.0], [1.0, 2.0]], [[0.0]], "hessian's entries must be real numbers"),
    ],
)
def test_refusals(hessian, centres, message):
    with pytest.raises(InputError, match=message):
        Quadratic(hessian, centres)
