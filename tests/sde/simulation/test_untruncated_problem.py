"""The SDE without truncation: the mean and the covariance of the rule's own increments."""

import pytest
import torch

from eigensam.landscapes import TiltedTorus
from eigensam.sde.derivation.derived_sde import truncate
from eigensam.sde.rules.finding import find_rule
from eigensam.sde.simulation.problems.coefficients import exact_increments, mean_and_covariance
from eigensam.sde.simulation.problems.derived_problem import derived_problem
from eigensam.sde.simulation.problems.untruncated_problem import untruncated_problem

from .refusals import refused

F, T, X = TiltedTorus.default(2), torch.zeros(()), torch.tensor([0.3, -0.4], dtype=torch.float64)


@pytest.mark.parametrize("name", ["sgd", "sam", "usam", "dnsam"])
def test_moments(name):
    rule = find_rule(name)
    problem = untruncated_problem(F, rule, rho=0.3, eta=0.1)
    mean, covariance = mean_and_covariance(exact_increments(F, rule, X, 0.3))
    torch.testing.assert_close(problem.drift(T, X), mean, rtol=1e-12, atol=1e-12)
    g = problem.diffusion(T, X)
    torch.testing.assert_close(g @ g.mT, 0.1 * covariance, rtol=1e-12, atol=1e-12)


def test_derived_sdes_come_near_by_powers_of_rho():
    """Drift order ``k`` is off by ``rho^k``."""
    rule, rho = find_rule("sam"), 0.01
    exact = untruncated_problem(F, rule, rho=rho, eta=0.1).drift(T, X)
    errors = [
        float((derived_problem(F, truncate(rule, "1/3", k), rho=rho, eta=0.1).drift(T, X) - exact).norm())
        for k in (1, 2, 3)
    ]
    assert errors[1] < 5 * rho * errors[0] < errors[0]
    assert errors[2] < 5 * rho * errors[1]


def test_bad_input():
    refused(lambda: untruncated_problem(F, "sam", rho=0.1, eta=0.1), "found str; expected a rule")
    refused(lambda: untruncated_problem(F, find_rule("sam"), rho=0.1, eta=-1.0), "give a positive learning rate and")
    refused(lambda: untruncated_problem(F, find_rule("eigen-sam"), rho=0.1, eta=0.1), "the symbol alpha is unbound")
