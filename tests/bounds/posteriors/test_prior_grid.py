"""The prior grid: confidences that add up, a best prior by brute force, no ripple at a given sigma."""

import math

import mpmath
import pytest

from eigensam.bounds import Curvature, PriorGrid, eigenvalue_bound, gaussian_kl
from eigensam.bounds.rounding.intervals import intervals
from eigensam.ground import InputError

GRIDS = (PriorGrid(), PriorGrid(refinement=2), PriorGrid(scale=1.0, density=3.0, refinement=7))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    ("d", "s2", "distance"),
    [(1, 1e-3, 0.5), (1, 1e-6, 1e-4), (2, 1e-4, 1e-3), (10, 0.1, 0.0), (10_000, 1e-5, 50.0), (5, 500.0, 1.0)],
)
def test_best_prior_against_brute_force(d, s2, distance, grid):
    def cost(k):
        return gaussian_kl(d, s2, grid.variance(k), distance) - math.log(grid.confidence(k, 0.05))

    least = min(map(cost, range(grid.refinement, 260 * grid.refinement)))
    assert cost(grid.best(d, s2, distance)) == pytest.approx(least, rel=1e-13)


@pytest.mark.parametrize("grid", GRIDS)
def test_confidences_add_up_to_delta(grid):
    cells = 3000
    spent = sum(grid.confidence(k, 0.05) for k in range(grid.refinement, cells * grid.refinement))
    assert spent == pytest.approx(0.05 * (1 - 6 / math.pi**2 / cells), rel=1e-6)
    assert spent < 0.05


@pytest.mark.parametrize("grid", GRIDS)
def test_intervals_hold_the_truth(grid):
    iv = intervals()
    for k in (grid.refinement, grid.refinement + 1, 7 * grid.refinement, 300 * grid.refinement - 1):
        variance, logarithm = grid.intervals(iv, k, iv.real(0.05))
        j, i = divmod(k, grid.refinement)
        with mpmath.workdps(90):
            share = 1 if grid.refinement == 1 else mpmath.mpf(1) / (2 if i == 0 else 2 * (grid.refinement - 1))
            s2 = grid.scale * mpmath.exp(-mpmath.mpf(k) / (grid.density * grid.refinement))
            truth = -mpmath.log(share * 6 * mpmath.mpf(0.05) / (mpmath.pi * j) ** 2)
            for interval, value in ((variance, s2), (logarithm, truth)):
                assert mpmath.mpf(interval.a) <= value <= mpmath.mpf(interval.b)
        assert grid.variance(k) == pytest.approx(float(s2), rel=1e-13)
        assert -math.log(grid.confidence(k, 0.05)) == pytest.approx(float(truth), rel=1e-13)


@pytest.mark.parametrize("d", [400, 375_059, 10**8])
def test_no_ripple_at_a_given_sigma(d):
    """At most 1/4 nat above the best continuous prior, besides the union's cost; the coarse grid alone: d/(16 b^2)."""
    grid, coarse, worst = PriorGrid.for_dim(d), PriorGrid(), 0.0
    m = grid.refinement
    for i in range(100):
        s2, distance = 1e-6 * 1.01**i, 1e-3
        ideal = gaussian_kl(d, s2, s2 + distance / d, distance)
        k = grid.best(d, s2, distance)
        total = gaussian_kl(d, s2, grid.variance(k), distance) - math.log(grid.confidence(k, 1.0))
        union = math.log(math.pi**2 / 6 * (k / m + 1) ** 2) + (math.log(2 * (m - 1)) if m > 1 else 0.0)
        assert total <= ideal + 0.26 + union
        worst = max(worst, gaussian_kl(d, s2, coarse.variance(coarse.best(d, s2, distance)), distance) - ideal)
    assert worst == pytest.approx(d / 1600, rel=0.15)


def test_the_bound_is_smooth_in_sigma():
    """Within 6 % of sigma the bound moves by 0.17 on the coarse grid alone, as it did before."""
    case = {"dim": 375_059, "squared_distance": 1e-5, "examples": 536}
    flat, sigmas = Curvature(0.00245, 72.7), [5e-4 * 1.002**i for i in range(30)]
    fine, coarse = (
        [eigenvalue_bound(0.0033, flat, sigma=sigma, priors=grid, **case).bound for sigma in sigmas]
        for grid in (None, PriorGrid())
    )
    assert max(fine) - min(fine) < 0.015
    assert max(coarse) - min(coarse) > 0.15


def test_refusals():
    for scale, density in ((0.0, 10.0), (1.0, 0.5), (math.inf, 10.0), (1.0, math.nan), (1.0, 1e4)):
        with pytest.raises(InputError, match="need scale in"):
            PriorGrid(scale, density)
    for refinement in (0, -1, 1.5, True, 10**6):
        with pytest.raises(InputError, match="need a whole number"):
            PriorGrid(refinement=refinement)
