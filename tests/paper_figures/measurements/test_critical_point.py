"""SAM near a critical point: the order sets in below a step size that falls like the cube of the distance."""

import itertools
import math

from eigensam.paper_figures.measurements.critical_point import DISTANCES, measure_critical_point


def onset(result):
    """The largest step size below which every local slope is within 0.25 of 3."""
    good = math.inf
    for eta, slope in zip(result["etas"][1:][::-1], result["slopes"][::-1], strict=True):
        if abs(slope - 3) > 0.25:
            break
        good = eta
    return good


def test_the_order_degrades_with_the_distance():
    calls = []
    results = measure_critical_point(lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(DISTANCES), len(DISTANCES))
    onsets = [onset(r) for r in results[:4]]
    assert onsets[0] > 2**-8
    assert all(a >= b for a, b in itertools.pairwise(onsets))
    # From 1e-2 to 1e-3 by a factor of a thousand, up to the spacing of the step sizes.
    assert 2.0**7 < onsets[2] / onsets[3] < 2.0**13
    # At 1e-4 not even 2^-30 is small enough.
    assert abs(results[4]["slopes"][-1] - 3) > 0.25
    # The constant at a fixed step size grows by orders of magnitude.
    at = results[0]["etas"].index(2.0**-12)
    errors = [r["errors"][at] for r in results]
    assert errors[4] > 1e3 * errors[0]


def test_the_assumption_check_says_so():
    """|g| changes by more than itself in steps longer than the distance, and by little in much shorter ones."""
    for result in measure_critical_point():
        for eta, change in zip(result["etas"], result["change"], strict=True):
            if eta > 4 * result["distance"]:
                assert change > 1
            if eta < result["distance"] / 64:
                assert change < 0.2
