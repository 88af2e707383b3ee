"""Streaming statistics against numpy's on all data at once, in numbers that cancel badly, and back from JSON."""

import json

import numpy as np
import pytest

from eigensam.sde.simulation.streaming import StreamingStatistics


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_against_all_data_at_once(offset):
    data = np.random.default_rng(0).standard_normal((1000, 3)) @ np.array([[1.0, 0.5, 0], [0, 2, 0], [0, 0, 0.1]])
    data += offset
    statistics = StreamingStatistics.empty(3)
    for block in np.split(data, [1, 2, 400, 999]):
        statistics.add(block)
    assert statistics.count == 1000
    assert np.allclose(statistics.mean, data.mean(0), rtol=1e-14)
    assert np.allclose(statistics.covariance, np.cov(data.T), rtol=1e-9, atol=1e-9)


def test_the_textbook_formula_would_fail():
    """Wrong on purpose: E x^2 - (E x)^2 loses everything at an offset of 1e9."""
    data = np.random.default_rng(0).standard_normal((1000, 1)) + 1e9
    statistics = StreamingStatistics.empty(1)
    for block in np.split(data, 10):
        statistics.add(block)
    naive = (data**2).mean() - data.mean() ** 2
    assert statistics.covariance[0, 0] == pytest.approx(np.var(data, ddof=1), rel=1e-6)
    assert naive != pytest.approx(np.var(data, ddof=1), rel=0.1)


def test_back_from_json_bit_for_bit():
    statistics = StreamingStatistics.empty(2)
    statistics.add(np.random.default_rng(1).standard_normal((7, 2)) / 3)
    again = StreamingStatistics.from_dict(json.loads(json.dumps(statistics.to_dict())))
    assert again.count == statistics.count
    assert np.array_equal(again.mean, statistics.mean)
    assert np.array_equal(again.products, statistics.products)
