"""Right SDEs of random rules never fail; corrupted ones do not pass where the proof says that their order is lower."""

import pytest

from eigensam.landscapes import TiltedTorus
from eigensam.sde import derive, find_rule, verify_on_torus
from eigensam.sde.weak_order.plans import TorusPlan

from .random_rules import corrupted, random_case

RIGHT = [n for n in range(60) if random_case(n)[1].dim == 1][:10]  # two dimensions take seconds


@pytest.mark.parametrize("number", RIGHT)
def test_right_sdes_do_not_fail(number):
    sde, landscape = random_case(number)
    result = verify_on_torus(sde, landscape=landscape)
    assert result.verdict == ("inconclusive" if number == 13 else "pass"), result.reason  # 13: better than claimed


def test_corrupted_sdes_do_not_pass():
    """Each coefficient times 1/2, 9/10, 11/10, -1, 0; in one dimension, where it is fast."""
    right, f, verdicts = derive(find_rule("sam"), 2, "2/3"), TiltedTorus.default(1), []
    for part, power, factor, wrong in corrupted(right):
        if wrong.weak_order < 2:
            result = verify_on_torus(
                wrong, landscape=f, etas=[2.0**-k for k in (8, 10, 12, 14)], plan=TorusPlan(expected=2)
            )
            verdicts.append(result.verdict)
            assert result.verdict != "pass", (part, power, factor, result.reason)
    assert len(verdicts) == 35
    assert verdicts.count("fail") >= 30


def test_the_generator_is_deterministic():
    assert str(random_case(5)[0].rule.step) == str(random_case(5)[0].rule.step)
    assert len({str(random_case(n)[0].rule.step) for n in range(20)}) > 15
