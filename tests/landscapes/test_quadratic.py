"""Closed forms of the quadratic landscape, and what it refuses."""

import pytest
import torch

from eigensam.landscapes import InputError, Quadratic


def test_gradient_and_noise_in_closed_form(f64):
    a = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=f64)
    c = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -0.5]], dtype=f64)
    f, x = Quadratic(a, c), torch.tensor([0.3, -0.7], dtype=f64)
    torch.testing.assert_close(f.gradient(x), a @ (x - c.mean(0)))
    g = f.gradients(x) - f.gradient(x)
    torch.testing.assert_close(g.T @ g / 3, a @ torch.cov(c.T, correction=0) @ a)
    assert f.third_products(x, x).abs().max() == 0


def test_refusals():
    with pytest.raises(InputError, match="not a symmetric"):
        Quadratic([[1.0, 2.0], [0.0, 1.0]], [[0.0, 0.0]])
    with pytest.raises(InputError, match=r"centres has shape \(1, 3\); expected \(M, 2\)"):
        Quadratic([[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0, 0.0]])
