"""The picture shows the numbers of the result: errors, intervals, the expected slope."""

import pytest

from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde import derive, find_rule, truncate, verify_monte_carlo, verify_on_torus
from eigensam.sde.weak_order.picture import draw_weak_order
from eigensam.sde.weak_order.plans import MonteCarloPlan


def test_errors_and_guide():
    found = verify_on_torus(derive(find_rule("sam"), 1, "1/2"), landscape=TiltedTorus.default(1))
    (axes,) = draw_weak_order(found.to_dict()).axes
    measured, guide = axes.lines
    assert list(measured.get_ydata()) == found.errors
    ratio = guide.get_ydata()[0] / guide.get_ydata()[-1]
    assert ratio == pytest.approx((found.etas[0] / found.etas[-1]) ** found.expected)
    assert "pass" in axes.get_title()


def test_intervals():
    found = verify_monte_carlo(
        truncate(find_rule("usam"), "1/2", 2),
        landscape=Quadratic.random(2),
        etas=[1 / 4, 1 / 8],
        plan=MonteCarloPlan(paths=300),
    )
    (axes,) = draw_weak_order(found.to_dict()).axes
    (container,) = axes.containers
    low, high = (line.get_ydata() for line in container.lines[1])
    assert (high - low) / 2 == pytest.approx(found.details["half_widths"])
