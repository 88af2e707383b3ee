"""Choices are on disk before the kept examples are read, and stay."""

import json

import pytest

from eigensam.bounds.certificates.frozen import FrozenChoices
from eigensam.ground import InputError

FIRST, SECOND = {"prior": "a", "c": 0.5}, {"prior": "a", "c": 0.7}


def test_the_same_choices_may_be_repeated(tmp_path):
    for _ in range(3):
        FrozenChoices(FIRST).write(tmp_path)
    FrozenChoices(FIRST).check(tmp_path)
    assert len(json.loads((tmp_path / "frozen.json").read_text())["records"]) == 1


def test_other_choices_after_a_look_are_refused(tmp_path):
    FrozenChoices(FIRST).write(tmp_path)
    with pytest.raises(InputError, match=r"were read for other choices \(c\).*announce more --looks"):
        FrozenChoices(SECOND).write(tmp_path)
    with pytest.raises(InputError, match="does not hold these choices"):
        FrozenChoices(SECOND).check(tmp_path)


def test_announced_looks(tmp_path):
    FrozenChoices(FIRST, looks=2).write(tmp_path)
    FrozenChoices(SECOND, looks=2).write(tmp_path)
    FrozenChoices(FIRST, looks=2).write(tmp_path)
    with pytest.raises(InputError, match="other choices"):
        FrozenChoices({"prior": "b", "c": 0.5}, looks=2).write(tmp_path)
    with pytest.raises(InputError, match="written for 2 looks, not 3"):
        FrozenChoices(FIRST, looks=3).write(tmp_path)


def test_never_frozen(tmp_path):
    with pytest.raises(InputError, match="does not hold these choices"):
        FrozenChoices(FIRST).check(tmp_path)


@pytest.mark.parametrize("content", ["{}", "[]", '{"format": "eigensam-frozen/1", "looks": 1}'])
def test_damaged(content, tmp_path):
    (tmp_path / "frozen.json").write_text(content)
    with pytest.raises(InputError, match="damaged"):
        FrozenChoices(FIRST).write(tmp_path)


@pytest.mark.parametrize("records", ["[null]", '[{"a": 1}, 3]', "[]", '"a"'])
def test_damaged_records(records, tmp_path):
    (tmp_path / "frozen.json").write_text(f'{{"format": "eigensam-frozen/1", "looks": 1, "records": {records}}}')
    with pytest.raises(InputError, match="has no certificate"):
        FrozenChoices(FIRST).write(tmp_path)


def test_what_is_no_json_is_not_to_be_removed(tmp_path):
    """A record that one is told to remove would be no record."""
    (tmp_path / "frozen.json").write_text("x")
    with pytest.raises(InputError, match="has no certificate") as found:
        FrozenChoices(FIRST).write(tmp_path)
    assert "remove" not in str(found.value)


def test_a_place_that_cannot_be_locked(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(InputError, match="make its folder writable"):
        FrozenChoices(FIRST).write(tmp_path)
