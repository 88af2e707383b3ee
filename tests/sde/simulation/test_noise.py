"""Noise belongs to a path: whoever draws it, with whichever others, and however many there are."""

import numpy as np
import pytest
from scipy import stats

from eigensam.ground import InputError
from eigensam.sde.simulation.noise import PathNoise


@pytest.mark.parametrize("width", [1, 4, 7, 64])
def test_a_path_alone_and_in_a_chunk(width):
    noise = PathNoise(3, 1, width)
    together = noise.draw(0, 20)
    alone = np.concatenate([noise.draw(i, 1) for i in range(20)])
    assert together.shape == (20, width)
    assert np.array_equal(together, alone)
    assert np.array_equal(together[5:9], PathNoise(3, 1, width).draw(5, 4))


def test_against_the_generator_itself():
    """Second truth: numpy's Philox from the start, its 53-bit doubles through scipy's normal quantile."""
    uniform = np.random.Generator(np.random.Philox(key=np.array([7, 0], dtype=np.uint64))).random(12)
    assert np.allclose(PathNoise(7, 0, 4).draw(0, 3).ravel(), stats.norm.ppf(uniform + 2.0**-54), rtol=1e-12)


def test_seeds_and_streams_differ():
    draws = [PathNoise(seed, stream, 8).draw(0, 2) for seed in (0, 1) for stream in (0, 1)]
    assert len({draw.tobytes() for draw in draws}) == 4


def test_normal_and_uncorrelated():
    z = PathNoise(0, 0, 16).draw(10**6, 4096)
    assert stats.kstest(z.ravel(), "norm").pvalue > 0.01
    assert np.abs(np.corrcoef(z.T) - np.eye(16)).max() < 5 / 4096**0.5
    assert np.abs(np.corrcoef(z[:-1].ravel(), z[1:].ravel())[0, 1]) < 5 / z.size**0.5


def test_uniform_numbers_would_fail():
    """Wrong on purpose: the same test refuses numbers that are only centred and scaled."""
    u = (np.random.default_rng(0).random(65536) - 0.5) * 12**0.5
    assert stats.kstest(u, "norm").pvalue < 1e-6


@pytest.mark.parametrize("seed", [-1, 1.5, True, 2**63, "0"])
def test_bad_seeds(seed):
    with pytest.raises(InputError, match="is not a whole number from 0"):
        PathNoise(seed, 0, 1)
