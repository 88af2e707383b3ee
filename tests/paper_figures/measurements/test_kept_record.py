"""Numbers of a run are found again, and measured anew for whatever else."""

import json

import pytest

from eigensam.ground import InputError
from eigensam.paper_figures.measurements.kept_record import is_kept, kept_record


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "runs" / "a.json"
    assert kept_record(path, "code", {"seed": 0}, lambda: {"x": (0.1, float("nan"))}) == {"x": [0.1, None]}
    return path


def test_it_is_kept(path):
    assert is_kept(path, "code", {"seed": 0})
    assert kept_record(path, "code", {"seed": 0}, lambda: pytest.fail("measured again")) == {"x": [0.1, None]}
    assert json.loads(path.read_text())["settings"] == {"seed": 0}


@pytest.mark.parametrize(("code", "seed"), [("other", 0), ("code", 1)])
def test_other_code_or_settings_measure_anew(path, code, seed):
    assert not is_kept(path, code, {"seed": seed})
    assert kept_record(path, code, {"seed": seed}, lambda: 2) == 2
    assert is_kept(path, code, {"seed": seed})


def test_a_changed_record_is_refused(path):
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(InputError, match=r"a\.json is damaged: its result was changed after .*; remove the file"):
        kept_record(path, "code", {"seed": 0}, lambda: 1)


def test_a_foreign_file_is_replaced(path):
    path.write_text("[1]")
    assert not is_kept(path, "code", {"seed": 0})
    assert kept_record(path, "code", {"seed": 0}, lambda: 3) == 3


def test_what_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        kept_record(tmp_path / "b.json", "code", {}, lambda: 1 / 0)
    assert not is_kept(tmp_path / "b.json", "code", {})
