"""Proofs of recursions' SDEs fail where a coefficient is changed: one change for every kind of term."""

from dataclasses import replace
from fractions import Fraction

import pytest

from eigensam.sde import derive, truncate
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.algebra.terms import PARAMETER
from eigensam.sde.rules.sampling import GivenOrder, Reshuffled, SingleShuffle

from .recursions import SCHEDULE, TRAINED, recursion

Q = Fraction
SAM = "grad(rho*unit(g))"
HEAVY = "m = 9/10*m + {g}; x = x - eta*m"
SAMPLINGS = {
    "independent": {},
    "reshuffled": {"sampling": Reshuffled(4)},
    "single": {"sampling": SingleShuffle(3)},
    "drop-last": {"sampling": Reshuffled(4, steps=3)},
}


def derived(text, order=2, exponent=1, **settings):
    sde = derive(recursion(text, **settings), order, exponent)
    assert sde.weak_order == order
    return sde


def changed(powers, power, term):
    return {**powers, power: powers.get(power, Sum()) + term}


def without(expression, *, has):
    """A sum less its terms with a parameter."""
    kept = {t: c for t, c in expression.terms.items() if not any(atom == (PARAMETER, has) for atom, _ in t[1])}
    assert len(kept) < len(expression.terms)
    return Sum(kept)


@pytest.mark.parametrize("exponent", [1, "1/2"])
@pytest.mark.parametrize("name", list(TRAINED))
def test_every_term_of_every_rule_is_needed(name, exponent):
    """A thousandth more of the first term of drift, correction and noise."""
    sde = derive(TRAINED[name].recursion, 2, exponent)
    assert sde.weak_order == 2
    beta = sde.rho_exponent
    for part, cost in (("increments", 0), ("correction", 1), ("covariance", 1)):
        powers = getattr(sde, part)
        for k, expression in powers.items():
            order = cost + k * beta
            if order >= 2 or not expression:
                continue
            terms = [Sum({term: c / 1000}) for term, c in expression.terms.items()]
            more = next(term for term in terms if part != "covariance" or term != term.mean())
            wrong = replace(sde, **{part: changed(powers, k, more)})
            assert wrong.weak_order == order, (part, k)


@pytest.mark.parametrize("increment", ["g", SAM])
@pytest.mark.parametrize("sampling", list(SAMPLINGS))
def test_the_correction_without_memory_has_order_one(sampling, increment):
    settings = SAMPLINGS[sampling]
    sde = derived(HEAVY.format(g=increment), **settings)
    memoryless = derived(f"x = x - eta*{increment}", **settings)
    assert replace(sde, correction=memoryless.correction).weak_order == 1
    assert replace(sde, correction={}).weak_order == 1
    half = derived(HEAVY.format(g=increment).replace("9/10", "9/11"), **settings)  # tau is 9/2
    assert replace(sde, correction=half.correction).weak_order == 1


def test_noise_is_needed_and_the_first_order_needs_none():
    sde = derived(HEAVY.format(g=SAM))
    assert replace(sde, covariance={}).weak_order == 1
    first = derived(HEAVY.format(g=SAM), 1)
    assert replace(first, covariance={}).weak_order == 1
    doubled = {k: h * 2 for k, h in sde.covariance.items()}
    assert replace(sde, covariance=doubled).weak_order == 1


def test_a_wrong_rate_has_order_zero():
    """The drift of ``SAM`` in the time ``eta n``, a tenth of the effective one."""
    sde = derived(HEAVY.format(g=SAM), 1)
    slow = {k: h * Q(1, 10) for k, h in sde.increments.items()}
    assert replace(sde, increments=slow).weak_order == 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (HEAVY.format(g="g"), "m = 9/10*m + g; x = x - eta*(g + 9/10*m)"),
        ("m = 9/10*m + g; x = x - eta*(g + 9/10*m)", HEAVY.format(g="g")),
        ("m = 9/10*m + g; x = x - eta*m - eta/7*x", "m = 9/10*m + g + 1/70*x; x = x - eta*m"),
        ("m = 9/10*m + g + 1/70*x; x = x - eta*m", "m = 9/10*m + g; x = x - eta*m - eta/7*x"),
    ],
)
def test_the_correction_of_a_neighbour_has_order_one(right, wrong):
    """Rules with one drift: heavy ball and Nesterov, coupled and decoupled decay."""
    sde, other = derived(right), derived(wrong)
    assert (sde.drift, sde.rate) == (other.drift, other.rate)
    assert replace(sde, correction=other.correction).weak_order == 1


@pytest.mark.parametrize("text", ["x = x - eta*{g}", HEAVY])
@pytest.mark.parametrize("sampling", ["reshuffled", "single", "drop-last"])
def test_epochs(text, sampling):
    """Noise kept although it is gone, the correction of independent draws, and both together."""
    sde = derived(text.format(g=SAM), **SAMPLINGS[sampling])
    independent = derived(text.format(g=SAM))
    assert sde.correction != independent.correction
    assert replace(sde, covariance=independent.covariance).weak_order == 1
    assert replace(sde, correction=independent.correction).weak_order == 1
    both = replace(sde, correction=independent.correction, covariance=independent.covariance)
    assert both.weak_order == 1


@pytest.mark.parametrize("text", ["x = x - eta*{g}", HEAVY])
def test_a_given_order(text):
    sde = derived(text.format(g=SAM), sampling=GivenOrder(3))
    assert sde.ordered
    assert replace(sde, ordered={}).weak_order == 1
    assert replace(sde, ordered={k: term * 2 for k, term in sde.ordered.items()}).weak_order == 1
    independent = derived(text.format(g=SAM))
    assert replace(sde, covariance=independent.covariance).weak_order == 1
    shuffled = derived(text.format(g=SAM), sampling=Reshuffled(3))
    assert replace(sde, correction=shuffled.correction).weak_order == 1


@pytest.mark.parametrize(
    "text",
    [
        "x = x - eta*s*{g}",
        "m = 9/10*m + s*{g}; x = x - eta*m",
        "m = 9/10*m + {g}; x = x - eta*s*m",
    ],
)
def test_schedules(text):
    """Without the time derivative; inside the buffer for outside."""
    sde = derived(text.format(g=SAM), schedules=SCHEDULE)
    still = {k: without(b, has="s'") for k, b in sde.correction.items()}
    assert replace(sde, correction=still).weak_order == 1
    others = ["m = 9/10*m + s*{g}; x = x - eta*m", "m = 9/10*m + {g}; x = x - eta*s*m"]
    for other in others:
        found = derived(other.format(g=SAM), schedules=SCHEDULE)
        assert found.drift == sde.drift
        same = found.correction == sde.correction
        assert replace(sde, correction=found.correction).weak_order == (2 if same else 1)
        assert same == (other == text)


def test_all_together_and_each_left_out():
    """Momentum, decay, a schedule and reshuffling: the correction of what lacks one of them has order 1."""
    text = "m = 9/10*m + grad(rho*unit(g)) + 1/7*x; x = x - eta*s*m"
    settings = {"schedules": SCHEDULE, "sampling": Reshuffled(4)}
    sde = derived(text, **settings)
    lacking = [
        derived(text, schedules=SCHEDULE),
        derived(text.replace("9/10*m", "0*m"), **settings),
        derived(text.replace(" + 1/7*x", ""), **settings),
    ]
    for other in lacking:
        assert replace(sde, correction=other.correction).weak_order == 1
    still = {k: without(b, has="s'") for k, b in sde.correction.items()}
    assert replace(sde, correction=still).weak_order == 1
    assert replace(sde, covariance=lacking[0].covariance).weak_order == 1
    assert replace(sde, increments=lacking[2].increments).weak_order == 0


def test_what_is_left_out_costs_what_it_says():
    """Truncations at ``rho = c eta^{1/2}``: the drift's powers 0 to 2, with and without correction and noise."""
    rule = recursion(HEAVY.format(g=SAM))
    for count, order in ((1, Q(1, 2)), (2, Q(1)), (3, Q(1))):
        sde = truncate(rule, "1/2", count)
        assert sde.weak_order == order
        assert [term.order for term in sde.dropped] == [Q(count, 2)]
    assert truncate(rule, "1/2", 4, correction_order=1, covariance_order=2).weak_order == Q(3, 2)
    assert truncate(rule, "1/2", 4, correction_order=2, covariance_order=1).weak_order == Q(3, 2)
    assert truncate(rule, "1/2", 4, correction_order=2, covariance_order=2).weak_order == 2
