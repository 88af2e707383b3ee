"""What holds of every inequality that is registered: declaration, range, monotone, refusals; and the page's table."""

import dataclasses
import itertools
import math
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from eigensam.bounds import PAC_BAYES, GibbsSample, Maurer, PacBayesInequality
from eigensam.bounds.pac_bayes.table import in_page, table
from eigensam.ground import InputError
from eigensam.ground.settings import settings_of
from eigensam.tests.house import ROOT

KINDS = [*((name, PAC_BAYES[name]()) for name in PAC_BAYES), ("maurer", Maurer())]
KINDS += [
    (name, PAC_BAYES[name].fixed_for(0.02, 5.0, 3000, 0.03)) for name in PAC_BAYES if settings_of(PAC_BAYES[name])
]
every = pytest.mark.parametrize(("name", "kind"), KINDS)


@every
def test_declarations(name, kind):
    for text in ("title", "formula", "reference", "loss_range", "sampling", "prior_may_see", "delta_spent"):
        assert getattr(kind, text), text
    assert isinstance(kind, PacBayesInequality)
    assert PAC_BAYES[name] is type(kind)
    assert type(kind).__dataclass_params__.frozen
    assert len(settings_of(kind)) == len(dataclasses.fields(kind))
    assert type(kind)(**dataclasses.asdict(kind)) == kind
    assert bool(settings_of(kind)) == ("fixed" in kind.free_parameter)
    assert ("grid" in kind.delta_spent) == ("grid" in kind.free_parameter)
    assert kind.least_examples >= 1


@every
def test_range_and_ends(name, kind):
    for r, kl, n in itertools.product((0.0, 1e-300, 0.02, 0.5, 0.7, 1.0), (0.0, 2.5, 1e4, 1e300), (2, 100, 10**7)):
        found = kind.upper(GibbsSample(r, kl, n), 0.05)
        assert type(found) is float
        assert r <= found <= 1
        assert found == 1 or (kl < 1e5 and r < 1)
    assert kind.upper(GibbsSample(0.0, 1e6, 1000), 0.05) == 1
    assert kind.upper(GibbsSample(0.0, 0.0, 2**53), 0.05) < 0.1
    assert kind.upper(GibbsSample(0.3, 1.0, 100), 1e-99) >= kind.upper(GibbsSample(0.3, 1.0, 100), 1e-9)


@every
def test_monotone(name, kind):
    """Rising in the risk, the second moment and the divergence, falling in the examples and in delta."""

    def upper(r=0.1, kl=4.0, n=2000, m=None, delta=0.05):
        return kind.upper(GibbsSample(r, kl, n, m), delta)

    steps = [i / 25 for i in range(26)]
    for values in (
        [upper(r=x) for x in steps],
        [upper(r=0.9, m=0.9 * x) for x in steps],
        [upper(kl=40 * x) for x in steps],
        [upper(n=4000 - round(3900 * x)) for x in steps],
        [upper(delta=0.99 - 0.98 * x) for x in steps],
    ):
        assert values == sorted(values)
    assert upper(r=0.05) < upper(r=0.1) < upper(r=0.2)
    assert upper(kl=1.0) < upper(kl=20.0)
    assert upper(n=3000) < upper(n=300)
    assert upper(delta=0.5) < upper(delta=0.001)


@every
def test_real_scalars_of_any_type_round_up(name, kind):
    third = GibbsSample(Fraction(1, 3), Decimal(1) / 3, np.int64(900), Fraction(1, 7))
    assert Fraction(third.risk) > Fraction(1, 3)
    assert Fraction(third.kl) > Fraction(Decimal(1) / 3)
    assert Fraction(third.second_moment) >= Fraction(1, 7)
    assert type(third.examples) is int
    assert kind.upper(third, 0.05) >= kind.upper(GibbsSample(math.nextafter(third.risk, 0), 1 / 3, 900, 1 / 7), 0.05)
    narrow = GibbsSample(np.float32(0.1), torch.tensor(2.0), 900)
    assert kind.upper(narrow, torch.tensor(0.05)) == kind.upper(
        GibbsSample(float(np.float32(0.1)), 2.0, 900), float(torch.tensor(0.05))
    )


@every
def test_second_moment_is_never_above_the_risk(name, kind):
    """Also after ``replace``: None stays None, and a new risk does not meet the moment of the old one."""
    plain = GibbsSample(0.1, 1.0, 1000)
    assert plain.second_moment is None
    for moment in (0.1, 0.9):
        assert kind.upper(plain, 0.05) == kind.upper(GibbsSample(0.1, 1.0, 1000, moment), 0.05)
    assert kind.upper(GibbsSample(0.1, 1.0, 1000, 0.04), 0.05) <= kind.upper(plain, 0.05)
    moved = dataclasses.replace(plain, risk=0.3)
    assert kind.upper(moved, 0.05) == kind.upper(GibbsSample(0.3, 1.0, 1000), 0.05)


@every
def test_guesses_cost_no_validity_but_help(name, kind):
    """Any guess gives an inequality; the right guess gives no worse a bound than a wrong one."""
    sample, delta = GibbsSample(0.03, 8.0, 4000), 0.05
    right = type(kind).fixed_for(sample.risk, sample.kl, sample.examples, delta).upper(sample, delta)
    for r, kl, n in itertools.product((0.0, 0.03, 0.5, 1.0), (0.0, 8.0, 1e9), (1, 4000, 2**53)):
        guessed = type(kind).fixed_for(r, kl, n, delta)
        assert type(guessed) is type(kind)
        assert sample.risk <= guessed.upper(sample, delta) <= 1
        if (r, kl) != (0.03, 8.0) and n == 4000 and "grid" not in kind.free_parameter:
            assert guessed.upper(sample, delta) >= right


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"risk": -0.1}, r"risk = -0.1 does not lie in \[0, 1\]; divide the loss"),
        ({"risk": math.nan}, r"risk = nan does not lie in"),
        ({"risk": Fraction(10**30 + 1, 10**30)}, r"does not lie in \[0, 1\]"),
        ({"risk": "0.1"}, "risk = '0.1' is not one real number"),
        ({"second_moment": 1.5}, r"second_moment = 1.5 does not lie in \[0, 1\]"),
        ({"kl": -1e-9}, "kl = -1e-09 is not a divergence in nats"),
        ({"kl": math.inf}, "where it is infinite, take a prior whose support"),
        ({"kl": math.nan}, "kl = nan is not a divergence"),
        ({"examples": 0}, "examples = 0 is too small; need at least 1"),
        ({"examples": 10.5}, "examples = 10.5 is not a whole number"),
        ({"examples": 2**60}, r"is more than 2\^53"),
        ({"examples": math.nan}, "examples = nan is not a whole number"),
    ],
)
def test_bad_samples(found, message):
    with pytest.raises(InputError, match=message):
        GibbsSample(**{"risk": 0.1, "kl": 1.0, "examples": 100} | found)


@every
def test_bad_arguments(name, kind):
    for delta in (0, 1, -0.1, math.nan, 1e-200):
        with pytest.raises(InputError, match=r"does not lie in \(0, 1\)"):
            kind.upper(GibbsSample(0.1, 1.0, 100), delta)
        with pytest.raises(InputError, match=r"does not lie in \(0, 1\)"):
            type(kind).fixed_for(0.1, 1.0, 100, delta)
    with pytest.raises(InputError, match=r"risk = 2 does not lie in \[0, 1\]"):
        type(kind).fixed_for(2, 1.0, 100, 0.05)
    if kind.least_examples > 1:
        with pytest.raises(InputError, match=f"1 examples are too few for {kind.title}, which needs"):
            kind.upper(GibbsSample(0.1, 1.0, 1), 0.05)


@pytest.mark.parametrize(
    ("name", "found", "message"),
    [
        ("catoni", {"c": 0.0}, "c = 0.0 must lie in"),
        ("catoni", {"c": math.nan}, "c = nan"),
        ("catoni", {"c": "1"}, "c = '1' is not of type float"),
        ("alquier", {"s": -1.0}, "s = -1.0 must lie in"),
        ("catoni-grid", {"least": 0.0}, "least = 0.0 must lie in"),
        ("catoni-grid", {"largest": 1e9}, "largest = 1000000000.0 must lie in"),
        ("unexpected-bernstein", {"points": 1}, "points = 1 must be 2 to 1000"),
        ("empirical-bernstein", {"least": 5.0, "largest": 5.0}, "least = 5.0 is not below largest = 5.0"),
    ],
)
def test_bad_parameters(name, found, message):
    with pytest.raises(InputError, match=message):
        PAC_BAYES[name](**found)


def test_grids_end_where_they_say():
    for name, kind in KINDS:
        if "grid" in kind.free_parameter:
            rates = kind.rates()
            assert (rates[0], rates[-1], len(rates)) == (kind.least, kind.largest, kind.points), name
            assert rates == sorted(set(rates))


def test_page_has_the_table():
    """The page is generated: rewrite it when a declaration changes."""
    page = (ROOT / "docs" / "certificates.md").read_text(encoding="utf-8")
    assert in_page(page) == page
    assert table() in page
    assert in_page(page.replace("`maurer`", "`other`")) == page


def test_no_torch():
    code = (
        "import sys; from eigensam.bounds import PAC_BAYES, GibbsSample\n"
        "print([kind().upper(GibbsSample(0.1, 1.0, 100), 0.05) for kind in PAC_BAYES.values()])\n"
        "assert not [m for m in ('torch', 'numpy', 'scipy') if m in sys.modules]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
