"""What results depend on is named, and so is what differs."""

import doctest

from eigensam.ground.identities import code_identity, differences


def test_code_of_another_package_counts():
    ours, theirs = (code_identity("eigensam.ground.identities", entry) for entry in (code_identity, doctest.Example))
    assert "code of other packages" not in ours
    assert len(theirs["code of other packages"]) == 64
    assert {name: theirs[name] for name in ours} == ours


def test_what_only_one_has_differs():
    one, two = {"seed": 1}, {"seed": 1, "threads": 2}
    assert differences(one, one) == ""
    assert differences(one, two) == "threads (None there, 2 here)"
    assert differences(two, one) == "threads (2 there, None here)"


def test_values_are_shown_where_they_say_something():
    assert differences({"a": "x" * 40}, {"a": "y" * 40}) == "a"
    assert differences({"a": "torch 1.0, numpy 2"}, {"a": "torch 2.0, numpy 2, and what else there is"}).startswith(
        "a (t"
    )
