"""Text of the command line as a rule with memory, its epochs, schedules and draws."""

import re

import pytest

from eigensam.ground import InputError
from eigensam.sde.recursion_arguments import EpochLaw, Trained, derivable_names, read_rule
from eigensam.sde.rules.known_recursions import RECURSIONS
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.rule import RULES
from eigensam.sde.rules.sampling import GivenOrder, Independent, Reshuffled, SingleShuffle
from eigensam.sde.rules.schedules import Schedule

MOMENTUM = "m = 9/10*m + g; x = x - eta*m"


def test_names_expressions_and_statements():
    assert read_rule("sam") is RULES["sam"]
    assert read_rule("nesterov") is RECURSIONS["nesterov"]
    assert str(read_rule("grad(rho*g)").step) == "grad(rho*g)"
    read = read_rule("m = 9/10*m +  g;\n x = x - eta*m")
    assert isinstance(read, Recursion)
    assert (read.name, read.blocks) == (MOMENTUM, ["x", "m"])
    assert {"sam", "nesterov"} <= set(derivable_names())


@pytest.mark.parametrize(
    ("trained", "law"),
    [
        (Trained(EpochLaw.INDEPENDENT), Independent()),
        (Trained(EpochLaw.RESHUFFLED, 4), Reshuffled(4)),
        (Trained(EpochLaw.RESHUFFLED, 4, 3), Reshuffled(4, 3)),
        (Trained(EpochLaw.SINGLE_SHUFFLE, 4), SingleShuffle(4)),
        (Trained(EpochLaw.GIVEN_ORDER, 4), GivenOrder(4)),
    ],
)
@pytest.mark.parametrize("text", [MOMENTUM, "nesterov", "sam"])
def test_epochs(text, trained, law):
    found = read_rule(text, trained)
    assert isinstance(found, Recursion)
    assert found.sampling == law
    assert RECURSIONS["nesterov"].sampling == Independent()  # unchanged


def test_a_rule_with_epochs_is_the_same_step():
    found = read_rule("sam", Trained(EpochLaw.RESHUFFLED, 4))
    assert found.step == "x = x - eta*grad(rho*g/norm(g))"
    assert (found.name, found.summary, found.smoothness) == ("sam", RULES["sam"].summary, RULES["sam"].smoothness)


def test_schedules_draws_and_cycles():
    scheduled = read_rule("m = 9/10*m + g; x = x - eta*s*m", Trained(schedules=[" s = (1 + cos(pi*t))/2"]))
    assert scheduled.schedules == {"s": Schedule("(1 + cos(pi*t))/2")}
    drawn = read_rule("x = x - eta*grad(draw='a') - eta*grad(draw='b')", Trained(distinct=5, inner_steps=2))
    assert (drawn.distinct, drawn.inner_steps) == (5, 2)
    assert read_rule("lookahead").inner_steps == RECURSIONS["lookahead"].inner_steps > 1


@pytest.mark.parametrize(
    ("text", "trained", "message"),
    [
        (MOMENTUM, Trained(EpochLaw.RESHUFFLED), "--epochs reshuffled needs the number of minibatches in the family"),
        (MOMENTUM, Trained(EpochLaw.GIVEN_ORDER, 0), "--batches 0 is out of range"),
        (MOMENTUM, Trained(EpochLaw.RESHUFFLED, 4, 5), "an epoch of 5 steps of 4 minibatches"),
        (MOMENTUM, Trained(schedules=["s"]), "--schedule 's' is not NAME=FORMULA"),
        (MOMENTUM, Trained(schedules=["=t"]), "--schedule '=t' is not NAME=FORMULA"),
        (MOMENTUM, Trained(schedules=["s=t", "s=1"]), "--schedule s=1: s has a formula already"),
        (MOMENTUM, Trained(schedules=["s=1/(1+t)"]), "the schedule s is never used"),
        (MOMENTUM, Trained(schedules=["g=t"]), "the name 'g' is the gradient"),
        ("x = x - eta*s*g", Trained(schedules=["s=Abs(t)"]), "has no derivative"),
        ("x = x - eta*s*g", Trained(), "unbound symbol 's'"),
        (MOMENTUM, Trained(distinct=5), "distinct draws, but it has one"),
        (MOMENTUM, Trained(inner_steps=0), "0 inner steps; give a whole number, at least 1"),
        ("x - eta*g", Trained(), "write the step as statements, x = x - eta*"),
        ("momentum", Trained(), "unknown rule 'momentum'; choose one of: sgd"),
    ],
)
def test_refusals(text, trained, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read_rule(text, trained)
