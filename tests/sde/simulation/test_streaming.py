"""Streaming moments against numpy's on all data at once, in numbers that cancel badly, and back from JSON."""

import json

import numpy as np
import pytest

from eigensam.sde.simulation.streaming import StreamingMoments


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_against_all_data_at_once(offset):
    data = np.random.default_rng(0).standard_normal((1000, 3)) @ np.array([[1.0, 0.5, 0], [0, 2, 0], [0, 0, 0.1]])
    data += offset
    moments = StreamingMoments.empty(3)
    for block in np.split(data, [1, 2, 400, 999]):
        moments.add(block)
    assert moments.count == 1000
    assert np.allclose(moments.mean, data.mean(0), rtol=1e-14)
    assert np.allclose(moments.covariance, np.cov(data.T), rtol=1e-9, atol=1e-9)


def test_the_textbook_formula_would_fail():
    """Wrong on purpose: E x^2 - (E x)^2 loses everything at an offset of 1e9."""
    data = np.random.default_rng(0).standard_normal((1000, 1)) + 1e9
    moments = StreamingMoments.empty(1)
    for block in np.split(data, 10):
        moments.add(block)
    naive = (data**2).mean() - data.mean() ** 2
    assert moments.covariance[0, 0] == pytest.approx(np.var(data, ddof=1), rel=1e-6)
    assert naive != pytest.approx(np.var(data, ddof=1), rel=0.1)


def test_back_from_json_bit_for_bit():
    moments = StreamingMoments.empty(2)
    moments.add(np.random.default_rng(1).standard_normal((7, 2)) / 3)
    again = StreamingMoments.from_dict(json.loads(json.dumps(moments.to_dict())))
    assert again.count == moments.count
    assert np.array_equal(again.mean, moments.mean)
    assert np.array_equal(again.products, moments.products)
