"""Generated coefficients of recursions' SDEs against formulas in coordinates; what orders and lists of epochs add."""

import numpy as np
import pytest
import torch

from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde import coefficients, derive, in_coordinates
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.sampling import Epochs, GivenOrder, Reshuffled
from eigensam.sde.rules.statements import parse_statements

F = TiltedTorus.default(2)
X = torch.tensor([0.3, 0.7], dtype=torch.float64)
EPS, RHO = 0.1, 0.2


def of(text, order=2, exponent="2/3", **settings):
    return derive(Recursion("r", parse_statements(text), **settings), order, exponent)


@pytest.mark.parametrize(
    "text",
    [
        "m = 1/2*m + hvp(g); x = x - eta*(m + g)",  # E[H w] and E[H H w] share a vector
        "m = 1/2*m + hvp(g, at=rho*g); x = x - eta*(m + g)",
        "m = 9/10*m + grad(rho*unit(g)) + 1/7*x; x = x - eta*m",
        "m = 9/10*m + grad(rho*g/norm(mean(g))); x = x - eta*m - eta/5*x",
        "d = 1/2*d + 1/2*g; x = x - eta*grad(rho*d)",
        "m = 1/2*m + g + rho*hvp(unit(g)); x = x - eta*m",
        "x = x - eta*grad(rho*grad(draw='a'), draw='b')",
        "y = x; x = x - eta*grad(draw='1'); x = x - eta*grad(draw='2'); x = y + (x - y)/2",
    ],
)
def test_formulas_in_coordinates(text):
    sde = of(text)
    found = coefficients(F, sde, X, RHO)
    drift, covariance = in_coordinates(sde, F).compile("numpy")(X.numpy(), RHO, EPS, {})
    np.testing.assert_allclose(found.drift(EPS), drift, rtol=1e-12)
    np.testing.assert_allclose(found.covariance_matrix(), covariance, rtol=1e-12, atol=1e-15)


def test_a_reshuffled_pair():
    """``f = a x^2/2`` with ``a = 1, 3`` at ``x = 1``: ``b_1 = -5/2`` and no noise; independent draws: -2."""
    f, one = Quadratic([[[1.0]], [[3.0]]], centres=[[0.0], [0.0]]), torch.ones(1, dtype=torch.float64)
    pair = coefficients(f, of("x = x - eta*g", exponent=1, sampling=Reshuffled(2)), one, 0.0)
    assert (pair.correction.item(), pair.covariance.abs().max().item()) == (-2.5, 0.0)
    assert coefficients(f, of("x = x - eta*g", exponent=1), one, 0.0).correction.item() == -2.0


def test_a_mean_over_minibatches_in_a_given_order():
    """By hand: in units of ``2 eta`` increments ``-(g_m + E g)/2``, ``b_1 = -(D h) h + (D h_2) h_1 / 2``."""
    f, one = Quadratic([[[1.0]], [[3.0]]], centres=[[0.3], [-0.5]]), torch.ones(1, dtype=torch.float64)
    sde = of("x = x - eta*(g + mean(g))", exponent=1, sampling=GivenOrder(2))
    assert coefficients(f, sde, one, 0.0).correction.item() == pytest.approx(-5.2 + 0.5 * 2.5 * 1.65)


def test_noise_of_a_list_of_epochs():
    """Two sets that take turns at random: the covariance of a set's sum, divided by its size."""
    f = Quadratic([[2.0]], centres=[[0.0], [1.0], [3.0], [7.0]])
    sde = of("x = x - eta*g", exponent=1, sampling=Epochs([[0, 1], [2, 3]]))
    h = -f.gradients(X[:1])[:, 0]
    sums = torch.stack([h[0] + h[1], h[2] + h[3]])
    found = coefficients(f, sde, X[:1], 0.0).covariance_matrix()
    assert found.item() == pytest.approx(float(sums.var(unbiased=False)) / 2)


def test_blocks_one_after_the_other():
    sde = of("m = m + 2*eta*(-1*g - m); x = x + eta*m", exponent=1)
    state = torch.tensor([0.3, 0.7, -1.0, 2.0], dtype=torch.float64)
    found, x, m = coefficients(F, sde, state, 0.0), state[:2], state[2:]
    gradient, bent = F.gradient(x), F.hessian_product(x, m)
    torch.testing.assert_close(found.increments.mean(-2), torch.cat([m, -2 * (gradient + m)]))
    torch.testing.assert_close(found.correction, torch.cat([-gradient - m, -2 * gradient - 2 * m + bent]))
    assert found.covariance[:, :2].std(0).abs().max() == 0
