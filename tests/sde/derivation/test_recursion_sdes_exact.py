"""SDEs of recursions against what grows in exact moments of many steps: rational arithmetic that is not the engine's.

Drift, corrector, correction and covariance to ``rho^3``; see :mod:`.long_run`.
"""

from dataclasses import dataclass
from fractions import Fraction

import pytest

from eigensam.ground import InputError
from eigensam.sde import derive
from eigensam.sde.derivation.averaging.recursion_parts import RecursionParts
from eigensam.sde.rules.known_recursions import RECURSIONS
from eigensam.sde.rules.recursion import Recursion

from .derived_numbers import both, check
from .long_run import LongRun
from .recursions import TRAINED, Trained


@pytest.mark.parametrize("name", list(TRAINED))
def test_drift_corrector_correction_and_covariance_to_the_third_power(name):
    check(TRAINED[name], 1, 3)


@pytest.mark.parametrize("name", list(TRAINED))
def test_drift_corrector_correction_and_covariance_in_two_dimensions(name):
    check(TRAINED[name], 2, 1)


@pytest.mark.parametrize("name", ["SAM with momentum", "VaSSO", "friction", "schedule inside"])
def test_drift_corrector_correction_and_covariance_in_three_dimensions(name):
    check(TRAINED[name], 3, 1)


@pytest.mark.parametrize("name", list(RECURSIONS))
def test_recursions_of_the_library(name):
    """With the engine's own factors: with wrong ones the moments would not lie on the fitted curve."""
    rule = RECURSIONS[name]
    parts = RecursionParts(rule, Fraction(1))
    one = parts.effective(Fraction(1)).step
    factors = tuple(sorted(set(one.factors.values())))
    radical = 2 if name == "m-sam" else 1
    known = Known(rule.step, parts.rate * rule.inner_steps, factors, one.slow, radical=radical, noise=2, rule=rule)
    check(known, 1, 1)


@dataclass(frozen=True)
class Known(Trained):
    """A recursion that is not read from its text."""

    rule: Recursion | None = None

    @property
    def recursion(self):
        return self.rule


def test_where_the_noise_is_no_covariance_over_one_minibatch():
    """At ``rho^2`` VaSSO's noise has products of two minibatches: the long run differs, and the proof sees it."""
    ours, truth = both(TRAINED["VaSSO"], 1, 2)
    found, right = (each["x", 0][2] for each in (ours.correction, truth.correction))
    assert found == right
    pair = (("x", 0), ("x", 0))
    assert ours.covariance(3)[pair][:2] == truth.covariance[pair][:2]
    assert ours.covariance(3)[pair][2] != truth.covariance[pair][2]
    with pytest.raises(InputError, match="finds weak order 5/3 only, in η²ρ²: its noise is no covariance over one"):
        derive(TRAINED["VaSSO in the increment"].recursion, 2, "1/3")


@pytest.mark.parametrize(
    ("right", "wrong", "equal"),
    [
        ("heavy ball", "x = x - 10*eta*g", (True, False)),
        ("Nesterov", "m = 1/2*m + g; x = x - eta*m", (True, False)),
        ("decoupled decay", "m = 1/2*m + grad(rho*unit(g)) + 1/10*x; x = x - eta*m", (True, False)),
        ("Lookahead 3", "x = x - 3/2*eta*g", (True, False)),
        ("VaSSO", "x = x - eta*grad(rho*g)", (False, False)),
    ],
)
def test_the_long_run_tells_rules_apart(right, wrong, equal):
    """Whether drift and correction are another rule's: an SDE with the same drift has another correction."""
    ours, _ = both(TRAINED[right], 1, 1)
    rate = {"heavy ball": Fraction(10), "Nesterov": Fraction(2), "decoupled decay": Fraction(2)}.get(right, ours.rate)
    factors = TRAINED[right].factors if "m" in wrong else ()
    other = Trained(wrong, rate, factors)
    memory = {name: ours.values.blocks[name] for name in other.recursion.blocks[1:]}
    truth = LongRun(other, ours.losses, memory, ours.most, {})
    assert (ours.drift == truth.drift, ours.correction == truth.correction) == equal
