"""Truths: Jacobians by reverse differentiation, closed forms; the order tests take converted problems on top."""

import pytest
import torch
from torch.func import jacrev

from eigensam.sde.simulation.problems.calculus import converted, noise_along_itself
from eigensam.sde.simulation.problems.problem import SDEProblem

from .suite import SUITE

T = torch.tensor(0.4, dtype=torch.float64)


def jacobians(diffusion, x):
    """``sum_j (dG_j) G_j`` written out."""
    return torch.einsum("kji,ij->k", jacrev(lambda y: diffusion(T, y))(x), diffusion(T, x))


@pytest.mark.parametrize("name", SUITE)
def test_noise_along_itself(name):
    diffusion, x = SUITE[name].sde.diffusion, SUITE[name].start + 0.1
    torch.testing.assert_close(noise_along_itself(diffusion, T, x), jacobians(diffusion, x))


@pytest.mark.parametrize("name", SUITE)
def test_there_and_back(name):
    """The calculus changes, the drift does unless the noise is additive, and converting back restores it."""
    problem, x = SUITE[name].sde, SUITE[name].start + 0.1
    other = {"ito": "stratonovich", "stratonovich": "ito"}[problem.calculus]
    there = converted(problem, other)
    assert (there.calculus, there.noise, there.diffusion) == (other, problem.noise, problem.diffusion)
    assert torch.equal(there.drift(T, x), problem.drift(T, x)) == (problem.noise == "additive")
    torch.testing.assert_close(converted(there, problem.calculus).drift(T, x), problem.drift(T, x))
    assert converted(problem, problem.calculus) is problem


def test_geometric_brownian_motion():
    """``dX = a X dt + s X dW`` is ``dX = (a - s^2/2) X dt + s X o dW``: the sign, too."""
    ito = SDEProblem(lambda t, x: 2 * x, lambda t, x: 3 * x[:, None], "scalar")
    x = torch.tensor([1.5], dtype=torch.float64)
    assert converted(ito, "stratonovich").drift(T, x).item() == pytest.approx((2 - 4.5) * 1.5)
    stratonovich = SDEProblem(ito.drift, ito.diffusion, "scalar", "stratonovich")
    assert converted(stratonovich, "ito").drift(T, x).item() == pytest.approx((2 + 4.5) * 1.5)
