"""Random tilted tori: the promised bounds hold on points, every frequency can be drawn, a seed repeats."""

import itertools
import math

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import TiltedTorus
from eigensam.landscapes.analytic.random_torus import random_coefficients


def _points(dim, count):
    return 2 * math.pi * torch.rand(count, 1, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("dim", "size", "terms", "highest_frequency"),
    [(1, 1, 1, 1), (1, 3, 2, 2), (2, 3, 4, 1), (2, 5, 12, 2), (3, 3, 4, 1), (3, 2, 13, 1), (6, 4, 9, 3), (38, 2, 3, 1)],
)
def test_random_landscapes_have_the_promised_bounds(dim, size, terms, highest_frequency):
    points = _points(dim, 300)
    for seed in range(20):
        f = TiltedTorus.random(dim, size=size, terms=terms, highest_frequency=highest_frequency, seed=seed)
        assert (f.dim, f.size, len(f.frequencies)) == (dim, size, terms)
        frequencies = [tuple(row) for row in f.frequencies.int().tolist()]
        assert all(any(k) and max(map(abs, k)) <= highest_frequency for k in frequencies)
        both_signs = [*frequencies, *(tuple(-entry for entry in k) for k in frequencies)]
        assert len(set(both_signs)) == 2 * terms
        tilts = f.tilts.norm(dim=1)
        assert f.gradient_floor == pytest.approx(tilts.min().item() / 2)
        assert f.gradients(points).norm(dim=-1).min() >= f.gradient_floor - 1e-12
        assert tilts.min() >= 1 - 1e-12
        assert tilts.max() <= 2 + 1e-12
        assert f.gradient(points).norm(dim=-1).min() >= 0.3 * tilts.mean() - 1e-12


def test_every_frequency_can_be_drawn():
    """With as many terms as there are frequencies, one of each opposite pair, listed a second way."""
    found = {tuple(row) for row in random_coefficients(2, 1, 12, 2, seed=0)[1].tolist()}
    everything = {k for k in itertools.product(range(-2, 3), repeat=2) if any(k)}
    assert found | {(-a, -b) for a, b in found} == everything


def test_random_landscapes_are_reproducible():
    one, again, other = (TiltedTorus.random(2, seed=seed).to_dict() for seed in (3, 3, 4))
    assert one == again
    assert one != other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 0}, "dim = 0; give an integer of at least 1"),
        ({"dim": 2.0}, "dim = 2.0; give an integer"),
        ({"dim": 2, "size": 0}, "size = 0; give"),
        ({"dim": 2, "terms": 0}, "terms = 0; give"),
        ({"dim": 2, "highest_frequency": 0}, "highest_frequency = 0; give"),
        ({"dim": 2, "seed": -1}, "seed = -1; give an integer of at least 0"),
        ({"dim": 1, "terms": 2}, "terms = 2, but dimension 1 has only 1 frequencies up to 1 that .*; lower terms or"),
        ({"dim": 40}, "dimension 40 has too many frequencies up to 1 to draw from; lower dim or"),
        ({"dim": 10**9}, "too many frequencies"),
    ],
)
def test_impossible_random_landscapes(arguments, message):
    with pytest.raises(InputError, match=message):
        TiltedTorus.random(**arguments)
