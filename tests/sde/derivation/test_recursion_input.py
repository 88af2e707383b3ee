"""What recursions refuse, with the sentence that says what to change."""

import pickle

import numpy as np
import pytest

from eigensam.ground import InputError
from eigensam.sde import derive
from eigensam.sde.rules.language import direction, eta, grad, parameter, schedule, state
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.sampling import Epochs, GivenOrder, Reshuffled, Sampling, SingleShuffle, repartitions
from eigensam.sde.rules.schedules import Schedule, cosine
from eigensam.sde.rules.statements import parse_statements

from .recursions import SCHEDULE, recursion

X = state("x")
STEP = [("x", X - eta * grad())]


def refused(message, function, *arguments, **settings):
    with pytest.raises(InputError, match=message):
        function(*arguments, **settings)


def derived(text, order=2, exponent="1/2", **settings):
    return derive(recursion(text, **settings), order, exponent)


# -- what is never given a value, or never used


def test_a_state_that_no_statement_updates():
    refused(
        r"the state m is read but no statement gives it a value; write e.g. m = 9/10\*m \+ g",
        Recursion,
        "r",
        [("x", X - eta * state("m"))],
    )
    refused(
        r"unbound symbol 'm'.*if it is memory, a statement gives it a value, e.g. m = 9/10\*m \+ g",
        parse_statements,
        "x = x - eta*m",
    )
    refused(r"no statement moves x; write e.g. x = x - eta\*m", recursion, "m = 9/10*m + g")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("d = grad(draw='b'); x = x - eta*g", "the draw 'b'"),
        ("d = g; x = x - eta*grad(draw='a')", "the step's own minibatch"),
        ("d = grad(rho*grad(draw='a'), draw='b'); x = x - eta*g", "the draw 'a', the draw 'b'"),
    ],
)
def test_a_draw_that_is_never_used(text, what):
    refused(f"no block of the state depends on {what}, though a statement has it; use that, or leave", recursion, text)


def test_a_schedule_that_is_never_used_or_has_no_formula():
    refused("the schedule s is never used; leave it out", recursion, "x = x - eta*g", schedules=SCHEDULE)
    refused(
        "no block of the state depends on the schedule s; leave its statement out",
        recursion,
        "d = s*g; x = x - eta*g",
        schedules=SCHEDULE,
    )
    refused("the schedule s has no formula; give schedules=", Recursion, "r", [("x", X - schedule("s") * grad())])


# -- schedules


@pytest.mark.parametrize("formula", ["abs(t - 1)", "max(t, 1)", "floor(t)", "t % 1", "nan", "1/0", "x", "", "9**9**9"])
def test_formulas_that_are_none(formula):
    refused("t", Schedule, formula)


@pytest.mark.parametrize("formula", ["Abs(t - 1)", "sign(t - 1)", "sqrt((t - 1)**2)"])
def test_a_schedule_without_a_derivative(formula):
    refused("has no derivative where a sign, an absolute value or a step changes; write a smooth", Schedule, formula)


@pytest.mark.parametrize("formula", ["sqrt(t)", "log(t)", "1/t"])
def test_a_schedule_without_a_derivative_at_the_start(formula):
    refused(r"has no value or no derivative at t = 0.0; give a function of t that is smooth from 0", Schedule, formula)


@pytest.mark.parametrize(("formula", "start"), [("-1", "-1"), ("t - 2", "-2")])
def test_a_schedule_that_is_not_positive(formula, start):
    refused(f"is {start} at t = 0; give a function of t that is positive", Schedule, formula)


def test_schedules_of_other_types_and_at_impossible_times():
    for formula in (None, 1, 0.5):
        refused("give its formula in t as text, e.g. '1 - t/2'", Schedule, formula)
    for time in ("a", None, float("nan"), 1e9):
        refused("has no value or no derivative at t = ", Schedule("exp(exp(t))"), time)
    refused("no value or no derivative at t = 0.25", Schedule("sqrt(1 - 4*t)").derivative, 0.25)
    refused("divides by zero", cosine, 0)
    assert Schedule("t/10")(0.0) == 0  # a warm-up
    for value in ("cos(t)", 1, None):
        refused("the schedule s is .*; give its formula in t", recursion, "x = x - eta*s*g", schedules={"s": value})
    for value in (["s"], None):
        refused("schedules are .*; give", Recursion, "r", STEP, schedules=value)
    for name, message in (("g", "the gradient"), ("eta", "a parameter"), ("x", "the point")):
        refused(f"the name '{name}' is {message}", Recursion, "r", STEP, schedules={name: SCHEDULE["s"]})


def test_where_a_schedule_cannot_be_differentiated():
    refused(
        "a schedule within a power of a sum; write it as a factor", derived, "x = x - eta*g/(s + 1)", schedules=SCHEDULE
    )
    refused("which is no rational multiple of m", derived, "m = s*m/2 + g; x = x - eta*m", schedules=SCHEDULE)


# -- memory


@pytest.mark.parametrize("factor", ["1", "2", "-1", "10/9"])
def test_memory_that_does_not_forget(factor):
    refused(
        rf"a step multiplies m by {factor}, so it never forgets and has no average; give a factor below 1, or let",
        derived,
        f"m = {factor}*m + g; x = x - eta*m",
    )


@pytest.mark.parametrize(
    ("update", "found"),
    [
        ("9/10*m + g/norm(m)", "g/|m|: a power or sign of an expression in m is no polynomial in it"),
        ("9/10*m + g*norm(m)", "g: a power or sign of an expression in m is no polynomial in it"),
        ("9/10*m + inner(m, m)*g", r"\|m\|\^2 g, which is no rational multiple of m"),
        ("9/10*m + hvp(m)", r"H\[m\], which is no rational multiple of m"),
        ("alpha*m + g", "alpha m, which is no rational multiple of m"),
    ],
)
def test_memory_that_is_not_affine(update, found):
    found = found.replace("g/|m|: ", "").replace("g: ", "")
    message = f"at eta = rho = 0 the new value of m contains .*{found}; only affine memory"
    refused(message, derived, f"m = {update}; x = x - eta*m")


@pytest.mark.parametrize("step", ["unit(m)", "grad(rho*unit(m))", "sign(inner(m, g))*g"])
def test_rules_that_are_no_polynomial_of_memory(step):
    refused(
        "a power or sign of an expression in m is no polynomial in it; only memory that is affine at eta = 0",
        derived,
        f"m = 9/10*m + g; x = x - eta*{step}",
    )


def test_memories_that_feed_each_other():
    refused("its blocks feed each other in a circle", derived, "d = m; m = n/2 + g; n = d/2 + g; x = x - eta*m")


# -- the position


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("x = x - g", "-g"),
        ("m = 9/10*m + g; x = x - m", "-g - 9/10 m"),
        ("d = x; x = x - eta*g + 9/10*(x - y); y = d", "9/10 x - 9/10 y"),
        ("x = 2*x - eta*g", "x"),
        ("x = x - rho*g", r"rho\^1 times -g"),
    ],
)
def test_a_position_that_moves_without_eta(text, moved):
    refused(f"x moves by {moved} without a factor eta, so no differential equation is near it", derived, text)


def test_powers_of_eta_and_of_rho():
    refused("is not a whole power of eta", derived, "x = x - eta**(1/2)*g")
    refused("is not a whole power of eta", derived, "x = x - g/eta")
    refused("grows like a negative power of rho", derived, "x = x - eta*g/rho")
    refused(r"divides by rho\^40 in all; at most rho\^12", derived, "x = x - eta*(grad(rho*g) - g)/rho**40")
    refused(r"the step x = x is 0; give one that moves x", derived, "x = x")


# -- draws and epochs


THREE = "x = x - eta*(grad(draw='a') + grad(draw='b') + grad(draw='c'))"


def test_distinct_draws():
    refused("3 different minibatches of a family of 2; draw fewer, or give distinct=3", recursion, THREE, distinct=2)
    refused("distinct draws, but it has one; label several", recursion, "x = x - eta*g", distinct=2)
    for count in (0, 1, -3, "4", 4.0, float("nan"), True):
        refused("minibatches for distinct draws; give a whole number, at least 2", recursion, THREE, distinct=count)
    refused(
        "distinct draws that all play the same part; use the same function of each, or draw independently",
        derived,
        "x = x - eta*grad(draw='a') - 2*eta*grad(draw='b')",
        distinct=4,
    )


def test_draws_whose_noise_is_no_covariance_over_one_minibatch():
    text = "x = x - eta*grad(rho*unit(grad(draw='a')))"
    message = (
        "its draws make noise of different kinds, which is no covariance over one minibatch; use the same function"
    )
    refused(message, derived, text, exponent="1/3")
    assert derived(text, 1, "1/3").weak_order == 1  # which needs no noise


def test_epochs_of_recursions_that_have_none():
    slow = "m = m + eta*(g - m); x = x - eta*m"
    message = "epochs are derived for SDEs of the position alone, and m is slow, too; draw independently, or give"
    refused(message, derived, slow, sampling=Reshuffled(3))
    refused("epochs are of one minibatch a step, and it draws 3", recursion, THREE, sampling=Reshuffled(3))
    average = "m = 9/10*m + 1/10*g; x = x - eta*grad(rho*m)"
    message = "epochs are derived for memory that is a weighted sum of past increments, as momentum is, and here "
    for law in (Reshuffled(3), SingleShuffle(3), GivenOrder(3), Epochs(((0, 1), (2, 3)))):
        refused(message, derived, average, sampling=law)
        # the increment and what memory takes up differ from rho on, not before
        refused(message, derived, "m = 1/2*m + grad(rho*g); x = x - eta*(g + 1/2*m)", sampling=law)


@pytest.mark.parametrize("count", [0, -1, 1.5, float("nan"), "3", True, None])
def test_families_of_impossible_size(count):
    for law in (Reshuffled, SingleShuffle, GivenOrder):
        refused("minibatches; give the number in the family, at least 1", law, count)


def test_laws_of_minibatches():
    for steps in (0, 5, True, 1.5, "2"):
        refused("of 3 minibatches; give 1 to 3", Reshuffled, 3, steps=steps)
    assert Reshuffled(np.int64(4), steps=np.int64(3)) == Reshuffled(4, steps=3)
    refused("a family of 100000 minibatches has 100000.2 pairs.*at most 2000 minibatches", GivenOrder, 10**5)
    refused("at most 2000 minibatches", Epochs, ((0,), (10**5,)))
    refused("epochs are 3; give numbers of minibatches", Epochs, 3)
    refused("epochs hold numbers of minibatches, 0, 1", Epochs, ((0, 1.5),))
    for examples, size in ((4, 3), (9, 3), (4.0, 2), ("4", 2)):
        refused("examples in minibatches of .*; give at most 8 examples", repartitions, examples, size)
    for law in ("reshuffled", None, Reshuffled, Sampling()):
        refused(r"its sampling is .*; give e.g. Independent\(\) or Reshuffled\(4\)", Recursion, "r", STEP, sampling=law)


# -- odd input


@pytest.mark.parametrize("text", ["", ";;;", "  ;\n; "])
def test_no_statements(text):
    refused(r"there is no statement; write e.g. x = x - eta\*g", parse_statements, text)


@pytest.mark.parametrize(
    "text", ["x == g", "x += g", "x := g", "1m = g; x = x - eta*g", "m' = g; x = x - eta*g", "µ = µ + g; x = x - eta*µ"]
)
def test_what_is_no_statement(text):
    refused(r"is not a statement; write e.g. m = 9/10\*m \+ g; x = x - eta\*m", parse_statements, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x =", "is not an expression"),
        ("x = m = g", "is not an expression"),
        ("m = norm(g); x = x - eta*g", r"m = norm\(g\) is not a vector; write scalars where they are used"),
        ("m = 1e400*m + g; x = x - eta*m", "too large or too small to be read exactly"),
        ("x = x - eta*grad(draw=1)", "the label 1 of a draw is not made of letters and digits"),
        ("x = x - eta*grad(draw='é')", "the label 'é' of a draw is not made of letters and digits"),
        ("x = x - eta*grad(draw='a b')", "is not made of letters and digits; give e.g. draw='ascent'"),
        ("x = x - eta*(g" + " + g" * 3000 + ")", "characters, at most 5000 are read"),
    ],
)
def test_statements_that_cannot_be_read(text, message):
    refused(message, parse_statements, text)


@pytest.mark.parametrize("name", ["g", "H", "T", "f", "E", "rho", "eta", "alpha", "v", "lambda", "for", "grad", "b"])
def test_names_of_the_notation(name):
    refused(f"the name '{name}' is .*; choose another, e.g. 'my_{name}'", recursion, f"{name} = g; x = x - eta*g")


def test_statements_of_other_types():
    for text in (None, 5, b"x = g"):
        refused("expected statements as text", parse_statements, text)
    for names in ("s", None, 3):
        refused(r"the names of schedules are .*; give a list such as \['s'\]", parse_statements, "x = x - eta*g", names)
    for statements in (None, "x = x - eta*g", {"x": grad()}, [("x", grad(), 1)], 3):
        refused(r"its statements are .*; give pairs such as", Recursion, "r", statements)
    refused("no statement moves x", Recursion, "r", [])
    for value in (3, eta, "g", None):
        refused("is not a vector; write e.g. m = g", Recursion, "r", [("x", value)])
    for name in (1, "é", "a b", ""):
        refused("is not a letter followed by letters, digits and underscores", Recursion, "r", [(name, grad()), *STEP])
    refused("the recursion's name is None; give a text", Recursion, None, STEP)
    for count in (0, "2", True, float("nan"), 2.0):
        refused("inner steps; give a whole number, at least 1", Recursion, "r", STEP, inner_steps=count)
    for count in (0, "2", 1.5):
        refused("continuous derivatives; give a whole number, at least 1", Recursion, "r", STEP, smoothness=count)


def test_names_of_two_things():
    refused("tau names two things", Recursion, "r", [("tau", grad()), ("x", X - parameter("tau") * state("tau"))])
    refused("w names two things", Recursion, "r", [("w", grad()), ("x", X - eta * direction("w"))])
    refused("the name 'lagged' is a sum over other minibatches", Recursion, "r", [("x", X - direction("lagged"))])


def test_too_many_statements():
    text = "; ".join(["m = m/2 + g"] * 2000)
    refused("its 2001 statements, put into each other, are .* parts deep; at most 200", recursion, f"{text}; x = x - m")


def test_smoothness_that_is_declared():
    message = "need derivatives of the losses up to order .*; the rule declares 2; ask for a lower weak order"
    refused(message, derived, "m = 9/10*m + grad(rho*g); x = x - eta*m", smoothness=2)


def test_a_schedule_that_is_nothing_and_one_that_becomes_negative():
    refused("the schedule t - t is 0; give a positive function of t", Schedule, "t - t")
    falling = Schedule("1 - 2*t")
    assert falling(0.5) == 0
    refused("the schedule 1 - 2\\*t is -1 at t = 1; give a function of t that is positive", falling, 1.0)


def test_a_schedule_goes_to_another_process():
    assert pickle.loads(pickle.dumps(Schedule("1/(1 + t)")))(1.0) == 0.5
