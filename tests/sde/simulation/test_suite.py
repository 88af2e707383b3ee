"""The suite's own numbers: each by a second way that shares no formula with the first."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from torch.func import hessian, jacfwd, vmap

from .generator import generator, polynomials
from .suite import CASES, SUITE

ALL = {**CASES, "L2's twin": SUITE["L2"].twin, "C1's twin": SUITE["C1"].twin}
SOLVED = [name for name, case in ALL.items() if case.solution]
NONLINEAR = [name for name, case in ALL.items() if not case.degree]


def test_there_are_fourteen_of_every_kind():
    assert len(SUITE) == 14
    assert {case.sde.noise for case in SUITE.values()} == {"additive", "scalar", "diagonal", "commuting", "general"}
    assert {case.sde.calculus for case in SUITE.values()} == {"ito", "stratonovich"}


@pytest.mark.parametrize("name", [name for name, case in ALL.items() if case.degree])
def test_moments_solve_the_moment_equations(name):
    """``d/dt E p(X_t) = E (L p)(X_t)``, integrated numerically."""
    case = ALL[name]
    constant = None if case.timed else generator(case).numpy()
    found = solve_ivp(
        lambda t, m: m @ (generator(case, t).numpy() if constant is None else constant),
        (0.0, case.horizon),
        polynomials(case.start, 2).numpy(),
        rtol=1e-11,
        atol=1e-13,
    ).y[:, -1]
    x = torch.randn(len(found), len(case.start), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for each in case.expectations:
        weights = torch.linalg.solve(polynomials(x, 2), vmap(each.phi)(x)).numpy()
        assert found @ weights == pytest.approx(each.value, rel=1e-8), each.name


@pytest.mark.parametrize("name", SOLVED)
def test_solutions_solve_their_equation(name):
    """Ito's formula: ``X = f(t, W)`` has diffusion ``df/dw`` and drift ``df/dt + 1/2 laplace_w f``."""
    case = ALL[name]
    noise_dim = case.sde.diffusion(torch.zeros(()), case.start).shape[1]
    for seed in range(3):
        w = torch.randn(noise_dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        t = torch.tensor(0.3 + 0.2 * seed, dtype=torch.float64)
        x = case.solution(t, w)
        drift = jacfwd(case.solution)(t, w)
        if case.sde.calculus == "ito":
            drift = drift + hessian(case.solution, 1)(t, w).diagonal(dim1=-2, dim2=-1).sum(-1) / 2
        torch.testing.assert_close(case.sde.diffusion(t, x), jacfwd(case.solution, 1)(t, w), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(case.sde.drift(t, x), drift, rtol=1e-10, atol=1e-12)
    start = case.solution(torch.zeros((), dtype=torch.float64), torch.zeros(noise_dim, dtype=torch.float64))
    torch.testing.assert_close(start, case.start)


@pytest.mark.parametrize("name", NONLINEAR)
def test_expectations_are_integrals_over_the_solution(name):
    """By adaptive quadrature over ``W(T)``; the suite has them by Ito's formula or Gauss-Hermite."""
    case = ALL[name]
    t = torch.tensor(case.horizon, dtype=torch.float64)
    for each in case.expectations:

        def integrand(z, each=each):
            w = torch.tensor([z * case.horizon**0.5], dtype=torch.float64)
            return each.phi(case.solution(t, w)).item() * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        assert quad(integrand, -12, 12, epsabs=1e-12, epsrel=1e-12)[0] == pytest.approx(each.value, rel=1e-9, abs=1e-9)


def test_t2_as_published_stays_on_a_line():
    """Its first column and its drift vanish there, so as a test it is one of scalar noise."""
    sde, t = SUITE["T2"].sde, torch.zeros(())
    x = torch.tensor([0.7, 0.7], dtype=torch.float64)
    assert sde.drift(t, x).abs().max() == 0
    assert torch.equal(sde.diffusion(t, x), torch.tensor([[0, 0.7], [0, 0.7]], dtype=torch.float64))


def test_n2_starts_at_an_eigenvector():
    """``A x_0 = 2 x_0``."""
    case = SUITE["N2"]
    np.testing.assert_allclose(case.sde.drift(torch.zeros(()), case.start), 2 * case.start, rtol=1e-14)


@pytest.mark.parametrize("name", SUITE)
def test_the_kind_of_noise_is_as_declared(name):
    """Columns commute where ``sum_l G_lj d_l G_ik`` is symmetric in ``j, k``; N1, N2 and T2 do not."""
    sde, t = SUITE[name].sde, torch.tensor(0.4, dtype=torch.float64)
    x = SUITE[name].start + torch.arange(1, 1 + len(SUITE[name].start)) / 10
    g, change = sde.diffusion(t, x), jacfwd(lambda y: sde.diffusion(t, y))(x)
    along = torch.einsum("lj,ikl->ijk", g, change)
    commutes = torch.allclose(along, along.mT, rtol=0, atol=1e-14)
    assert commutes == (sde.noise != "general")
    assert (change.abs().max() == 0) == (sde.noise == "additive")
    assert (sde.noise == "scalar") == (g.shape[1] == 1 and change.abs().max().item() > 0)
    if sde.noise == "diagonal":
        assert torch.equal(g, g.diagonal().diag())
        assert change.count_nonzero() == len(x)
