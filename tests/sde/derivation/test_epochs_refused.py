"""What would be another training than the one that was written, or has terms that are not derived, is refused."""

import pytest

from eigensam.sde import derive, truncate
from eigensam.sde.derivation.torch_code import ordered_code, printed_code
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.sampling import Epochs, GivenOrder, Reshuffled, SingleShuffle
from eigensam.sde.rules.schedules import Schedule
from eigensam.sde.rules.statements import parse_statements

from .test_recursion_input import derived, recursion, refused


def test_epochs_with_weights_that_change_with_a_schedule():
    s = {"s": Schedule("2 + cos(3*t)")}
    parts = Recursion("r", parse_statements("m = 1/2*m + g; x = x - eta*(m + s*g)", ["s"]), Reshuffled(2), s)
    refused("its parts have other weights than the step's own increment", derive, parts, 2, 1)
    inside = Recursion("r", parse_statements("m = 1/2*m + s*g; x = x - eta*(m + g)", ["s"]), Reshuffled(2), s)
    refused("its parts have other weights", derive, inside, 2, 1)


def test_schedules_in_a_given_order():
    s = {"s": Schedule("2 + cos(3*t)")}
    ordered = Recursion("r", parse_statements("x = x - eta*s*g", ["s"]), GivenOrder(2), s)
    refused(
        "have another value of a schedule than those at its end, which is not derived at order 2", derive, ordered, 2, 1
    )
    assert derive(ordered, 1, 1).weak_order == 1


def test_epochs_of_several_steps_at_once():
    two = Recursion("r", parse_statements("x = x - eta*g; x = x - eta*g"), Reshuffled(2), inner_steps=2)
    refused("its statements are 2 of them; leave inner steps at 1", derive, two, 2, 1)


def test_means_of_products_in_a_given_order_have_no_code():
    sde = derive(Recursion("r", parse_statements("x = x - eta*g*mean(norm(g))"), GivenOrder(2)), 2, 1)
    refused("for which no code is written: the rule has a mean over minibatches", ordered_code, sde)


def test_epochs_with_one_sum_have_no_noise():
    law = Epochs(((0, 1), (1, 0)))
    assert law.noise() == 0
    assert not law.random
    assert Epochs(((0, 1), (2, 3))).random
    silent = truncate(
        Recursion("r", parse_statements("x = x - eta*g"), Reshuffled(2)), 1, 1, covariance_order=0, correction_order=1
    )
    assert silent.weak_order == 2
    assert not silent.covariance


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("d = g; x = x - eta*mean(grad(rho*d))", "d over minibatches"),
        ("x = x - eta*g; x = x - eta*mean(g)", "the position, which has moved, over minibatches"),
        ("m = 1/2*m + g; x = x - eta*m - eta*mean(inner(m, g)*g)", "m over minibatches"),
    ],
)
def test_means_of_what_holds_the_minibatch(text, what):
    """It would be averaged as well, which is another training than the one that was written."""
    refused(f"would average {what}, too, which holds the step's own one", recursion, text)


def test_means_of_what_holds_none():
    averaged = derived("d = mean(g); x = x - eta*grad(rho*d); x = x - eta*x/9")
    assert averaged.drift == derived("x = x - eta*grad(rho*mean(g)) - eta*x/9").drift
    memory = derived("x = x - eta*mean(inner(m, g)*g); m = 1/2*m + g")  # that of earlier steps
    assert memory.weak_order == 2


def test_one_labelled_minibatch_is_the_step_s_own():
    for law in (Reshuffled(3, steps=2), SingleShuffle(2), GivenOrder(2)):
        labelled, plain = (derived(f"m = 1/2*m + {g}; x = x - eta*m", sampling=law) for g in ("grad(draw='a')", "g"))
        for field in ("increments", "correction", "covariance", "ordered"):
            assert getattr(labelled, field) == getattr(plain, field)


def test_memory_that_is_too_long_for_epochs():
    long = "m = 9999/10000*m + g; x = x - eta*m"
    message = "memory with the factors 9999/10000 holds more than 50000 steps, too many for what epochs add"
    refused(message, derived, long, sampling=SingleShuffle(5))
    assert derived(long, sampling=Reshuffled(5)).weak_order == 2  # needs those of one epoch alone


def test_distinct_draws_of_all_minibatches_make_no_noise():
    both = derived("x = x - eta*(grad(draw='a') + grad(draw='b'))/2", distinct=2)
    assert not both.covariance
    assert both.correction == derived("x = x - eta*mean(g)").correction


def test_a_schedule_that_ends_at_0_but_for_rounding():
    assert Schedule("1 - t/0.3")(3 * 0.1) == 0


def test_code_that_would_lack_pairs_is_not_printed():
    heavy_ball = "m = 1/2*m + g; x = x - eta*m"
    for law in (GivenOrder(3), Epochs([[0, 0], [1, 1]])):
        refused(
            "what its pairs of minibatches add is not printed as code: use coefficients",
            printed_code,
            derived(heavy_ball, sampling=law),
        )
    code = printed_code(derived("m = 1/2*m + g; x = x - eta*s*m", schedules={"s": Schedule("1/(1 + t)")}))
    for part in (
        "eps is 2 times the learning rate",
        "values has 's' and \"s'\" at the time t",
        "def corrector(f, x, rho, values):",
    ):
        assert part in code


def test_a_schedule_is_not_called_time():
    refused(
        "the name 't' is time in what is printed", recursion, "x = x - eta*t*g", schedules={"t": Schedule("1/(1 + t)")}
    )
