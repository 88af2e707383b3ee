"""Every scheme has the weak order that it declares, on every problem that it takes, without sampling.

Two truths: the exact expectations of the suite, and for one step the problem's generator. A problem of the other
calculus is converted, so each scheme meets all.
"""

from functools import cache

import pytest
import torch
from torch.func import vmap

from eigensam.sde.simulation.scheme import SCHEMES

from . import exact_orders
from .exact_orders import law, local_slopes, weak_slopes
from .suite import CASES, SUITE
from .wrong import DECEITS, changed, transposed, without_signs

TOLERANCE = 0.1


def enumerable(name):
    """The case, or its twin with so few columns that a step's increments can be listed."""
    return CASES[name].twin or CASES[name]


def closed(scheme, case):
    """Not where a converted drift ceases to be linear."""
    return case.degree != 1 or scheme.calculus == case.sde.calculus


PAIRS = [
    (name, case)
    for name, scheme in SCHEMES.items()
    for case in CASES
    if CASES[case].sde.noise in scheme.weak_order and closed(scheme, CASES[case])
]


@cache
def slopes(name, case):
    return weak_slopes(SCHEMES[name], enumerable(case))


def shortfall(found, scheme, noise):
    """By how much the lowest of the orders found is below the declared one."""
    return scheme.weak_order[noise] - min(found)


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_no_moment_converges_more_slowly_than_declared(name, case):
    assert shortfall(slopes(name, case), SCHEMES[name], CASES[case].sde.noise) <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "noise"), [(name, kind) for name, each in SCHEMES.items() for kind in each.weak_order]
)
def test_no_declaration_is_too_modest(name, noise):
    """Some moment of some problem with this kind of noise converges exactly as fast as declared."""
    found = [slopes(*pair) for pair in PAIRS if pair[0] == name and CASES[pair[1]].sde.noise == noise]
    assert abs(min(map(min, found)) - SCHEMES[name].weak_order[noise]) <= TOLERANCE


@pytest.mark.parametrize("name", [name for name, scheme in SCHEMES.items() if "general" in scheme.weak_order])
@pytest.mark.parametrize("case", ["N2", "T2 off its line"])
def test_the_error_of_one_step_is_of_one_order_more(name, case):
    """In all moments up to the second, also where those of many steps are not closed."""
    assert shortfall(local_slopes(SCHEMES[name], CASES[case]), SCHEMES[name], "general") <= TOLERANCE - 1


# what the twins rest on


@pytest.mark.parametrize("name", [name for name, scheme in SCHEMES.items() if "diagonal" in scheme.weak_order])
def test_copies_do_not_mix(name):
    """L2: the step of eight copies is that of each alone, so two of them have the moments of all."""
    scheme, generator = SCHEMES[name], torch.Generator().manual_seed(0)
    x, dw = torch.randn(2, 8, dtype=torch.float64, generator=generator)
    signs = torch.randn(scheme.sign_count(8), dtype=torch.float64, generator=generator).sign()
    t, none = torch.zeros((), dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    sde = exact_orders.converted(SUITE["L2"].sde, scheme.calculus)
    together = scheme.step(sde, t, x, 0.1, dw, signs)
    alone = vmap(lambda x, dw: scheme.step(sde, t, x, 0.1, dw, none))(x[:, None], dw[:, None])[:, 0]
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=1e-13)


def test_fewer_and_longer_columns_are_the_same_noise():
    """C1: ``G G^T`` of the ten columns is that of the twin's two."""
    case, t = SUITE["C1"], torch.zeros(())
    ten, two = (each.sde.diffusion(t, case.start) for each in (case, case.twin))
    assert (ten.shape[1], two.shape[1]) == (10, 2)
    torch.testing.assert_close(ten @ ten.mT, two @ two.mT)


@pytest.mark.parametrize("name", SCHEMES)
def test_moments_of_the_law(name):
    """Independent, mean 0, variance h, third moment 0; the fourth of coins is ``h^2``, of others ``3 h^2``."""
    scheme, h = SCHEMES[name], 0.3
    dw, signs, probability = law(scheme, 3, h)
    assert signs.shape[1] == scheme.sign_count(3) == (3 if scheme.signs else 0)
    found = torch.cat([dw / h**0.5, signs], -1)
    second = torch.einsum("q,qi,qj->ij", probability, found, found)
    third = torch.einsum("q,qi,qj,qk->ijk", probability, found, found, found)
    fourth = torch.einsum("q,qi,qj->ij", probability, found**2, found**2)
    kurtosis = torch.ones(found.shape[1], dtype=torch.float64)
    kurtosis[:3] = 1 if scheme.increments == "two-point" else 3
    torch.testing.assert_close(second, torch.eye(found.shape[1], dtype=torch.float64))
    torch.testing.assert_close(third, torch.zeros_like(third), rtol=0, atol=1e-14)
    torch.testing.assert_close(fourth, torch.ones_like(fourth) + (kurtosis - 1).diag())


# wrong on purpose


@pytest.mark.parametrize("name", [name for name, scheme in SCHEMES.items() if "general" in scheme.weak_order])
@pytest.mark.parametrize("case", ["N1", "T2 off its line"])
def test_a_transposed_diffusion_is_noticed(name, case):
    assert shortfall(weak_slopes(SCHEMES[name], transposed(CASES[case])), SCHEMES[name], "general") > 0.5


@pytest.mark.parametrize("name", [name for name, scheme in SCHEMES.items() if "scalar" in scheme.weak_order])
def test_a_sampler_with_two_per_cent_more_variance_is_noticed(name):
    wrong = changed(SCHEMES[name], lambda scheme, sde, t, x, h, dw, signs: (sde, t, x, h, 1.02**0.5 * dw, signs))
    assert shortfall(weak_slopes(wrong, CASES["L1"]), wrong, "scalar") > 0.5


@pytest.mark.parametrize("case", ["L1", "S1", "N1"])
def test_three_points_with_other_probabilities_are_noticed(case, monkeypatch):
    """Of the right variance, but the fourth moment is ``2 h^2``."""
    monkeypatch.setitem(exact_orders.POINTS, "three-point", ([-(2**0.5), 0.0, 2**0.5], [0.25, 0.5, 0.25]))
    platen = SCHEMES["platen"]
    assert shortfall(weak_slopes(platen, CASES[case]), platen, CASES[case].sde.noise) > 0.5


@pytest.mark.parametrize(("name", "case", "deceit"), DECEITS)
def test_a_scheme_that_leaves_something_out_is_noticed(name, case, deceit):
    wrong = changed(SCHEMES[name], deceit)
    assert shortfall(weak_slopes(wrong, CASES[case]), wrong, CASES[case].sde.noise) > 0.5


def test_heun_taken_for_a_scheme_of_ito_is_noticed():
    wrong = type("Wrong", (type(SCHEMES["heun"]),), {"calculus": "ito"})()
    assert shortfall(weak_slopes(wrong, CASES["L1"]), wrong, "scalar") > 0.5
    assert shortfall(weak_slopes(wrong, CASES["P2"]), wrong, "scalar") > 0.5


def test_what_the_published_problems_do_not_notice():
    """N1's ``x1`` is a geometric Brownian motion, its commutator has one entry, 1/40, and T2's paths stay on a line."""
    wrong = changed(SCHEMES["platen"], without_signs)
    for case in ("N1", "T2"):
        assert shortfall(weak_slopes(wrong, CASES[case]), wrong, "general") <= TOLERANCE
