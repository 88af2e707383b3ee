"""Truncated increments against the exact rule, and the identities that make drifts gradients."""

import math

import pytest
import torch

from eigensam.landscapes import InputError, TiltedTorus
from eigensam.sde import RULES, TAYLOR, exact_increments, find_rule, moments, truncated_increments

F = TiltedTorus.default(2)
X = torch.tensor([0.7, 2.1], dtype=torch.float64)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.perturbed])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_remainder_has_the_next_power_of_rho(name, order):
    rule = find_rule(name)

    def gap(rho, coefficients):
        exact, ours = exact_increments(F, rule, X, rho), truncated_increments(F, rule, X, rho, coefficients)
        return float((exact - ours).norm())

    slope = math.log2(gap(2e-3, TAYLOR[:order]) / gap(1e-3, TAYLOR[:order]))
    assert slope == pytest.approx(order, abs=0.05)
    if order == 3:  # wrong on purpose: half the third-order coefficient
        assert math.log2(gap(2e-3, (1, 1, 0.25)) / gap(1e-3, (1, 1, 0.25))) == pytest.approx(2, abs=0.05)


def test_sgd_has_nothing_to_truncate():
    rule = find_rule("sgd")
    for order in (1, 2, 3):
        assert torch.equal(truncated_increments(F, rule, X, 0.5, TAYLOR[:order]), exact_increments(F, rule, X, 0.5))


def test_second_order_drifts_are_gradients_of_norms():
    """E[H g/|g|] = grad E|g| (SAM) and E[H g] = 1/2 grad E|g|^2 (USAM)."""
    x = X.clone().requires_grad_(True)
    losses = F.losses(x)
    g = torch.stack([torch.autograd.grad(loss, x, create_graph=True)[0] for loss in losses])
    norms = g.norm(dim=1)
    for name, value in (("sam", norms.mean()), ("usam", 0.5 * norms.square().mean())):
        (truth,) = torch.autograd.grad(value, x, retain_graph=True)
        drift, _ = moments(truncated_increments(F, find_rule(name), X, 1.0, (0.0, 1.0)))
        torch.testing.assert_close(-drift, truth, rtol=1e-10, atol=1e-12)


def test_moments_against_torch():
    h = torch.randn(7, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, covariance = moments(h)
    torch.testing.assert_close(mean, h.mean(1))
    torch.testing.assert_close(covariance[5], torch.cov(h[5].T, correction=0))


def test_no_coefficient_is_refused():
    with pytest.raises(InputError, match="no Taylor coefficient given"):
        truncated_increments(F, find_rule("sam"), X, 0.1, ())
