"""The first float that passes is found from any guess, with few tests from a good one."""

import math
import random

import pytest

from eigensam.bounds.concentration.float_search import first_float, halved


def moved(value, steps):
    for _ in range(abs(steps)):
        value = math.nextafter(value, math.inf if steps > 0 else 0)
    return value


@pytest.mark.parametrize("upwards", [True, False])
def test_from_any_guess(upwards):
    rng = random.Random(0)
    start, end = (0.0, 1.0) if upwards else (1.0, 0.0)
    for _ in range(300):
        threshold = rng.choice([rng.random(), 10 ** rng.uniform(-323, 0), 5e-324, math.nextafter(1, 0)])
        tests = []

        def passes(x, threshold=threshold, tests=tests):
            tests.append(x)
            return x >= threshold if upwards else x <= threshold

        assert halved(passes, start, end) == threshold
        for guess in (threshold, moved(threshold, 3), moved(threshold, -3), rng.random(), 0.0, 1.0, 7.0):
            tests.clear()
            assert first_float(passes, start, end, guess) == threshold
            assert not {start, end} & set(tests)
            assert len(tests) <= (2 if guess == threshold else 130)


def test_nothing_passes():
    assert first_float(lambda _: False, 0.0, 1.0, 0.5) == 1.0
    assert first_float(lambda _: True, 0.0, 1.0, 0.5) == 5e-324
    assert first_float(lambda _: False, 0.25, math.nextafter(0.25, 1), 0.25) == math.nextafter(0.25, 1)
