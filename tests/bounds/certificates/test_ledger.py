"""Parts of delta add up, exactly; what is over-spent is refused."""

from fractions import Fraction

import pytest

from eigensam.bounds.certificates.ledger import Ledger, LedgerEntry
from eigensam.ground import InputError


def test_parts_add_up_exactly():
    """Floats would say that ten tenths are below one."""
    ledger = Ledger(0.1)
    parts = [ledger.spend(f"statement {i}", 0.01, "one of ten") for i in range(9)]
    parts.append(ledger.spend_rest("the last", "what is left"))
    assert sum(map(Fraction, parts)) <= Fraction(0.1)
    assert ledger.left < 1e-18
    with pytest.raises(InputError, match=r"left of delta = 0.1, 'one more' needs"):
        ledger.spend("one more", 1e-9, "over-spent")


def test_floats_are_the_fractions_that_they_are():
    """0.1 and 0.2 are a little more than 0.3: refused rather than rounded away."""
    ledger = Ledger(0.3)
    ledger.spend("one", 0.1, "")
    with pytest.raises(InputError, match=r"'two' needs 0.2"):
        ledger.spend("two", 0.2, "")
    assert Fraction(ledger.spend_rest("two", "")) + Fraction(0.1) <= Fraction(0.3)


def test_spent_twice_is_refused():
    ledger = Ledger(0.05)
    ledger.spend("PAC-Bayes", 0.05, "all of it")
    with pytest.raises(InputError, match="enlarge delta, or make fewer statements"):
        ledger.spend("Monte Carlo", 0.05, "again")
    with pytest.raises(InputError, match="which buys no statement"):
        ledger.spend_rest("Monte Carlo", "nothing is left")


def test_entries_given_are_checked():
    with pytest.raises(InputError, match=r"the entries spend 0.06 of delta = 0.05"):
        Ledger(0.05, [LedgerEntry("a", "spent", 0.06, "")])


def test_free_choices_cost_nothing():
    ledger = Ledger(0.05)
    ledger.freeze("prior", "before")
    ledger.cover("posterior", "for all at once")
    assert ledger.left == 0.05
    found = ledger.to_dict()
    assert [entry["how"] for entry in found["entries"]] == ["frozen", "every"]
    assert (found["spent"], found["delta"]) == (0.0, 0.05)


@pytest.mark.parametrize("delta", [0.0, 1.0, float("nan"), -0.1, True])
def test_no_confidence(delta):
    with pytest.raises(InputError):
        Ledger(delta)


@pytest.mark.parametrize("part", [0.0, -0.01, float("nan")])
def test_no_part(part):
    with pytest.raises(InputError, match="which buys no statement"):
        Ledger(0.05).spend("a", part, "")
