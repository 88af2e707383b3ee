"""Results are reused for the same settings and the same code only."""

import json

import pytest

from eigensam.ground import InputError
from eigensam.ground import result_store as store

MODULE = "eigensam.sde.rules.rule"


def test_reuse(tmp_path, monkeypatch):
    path, calls = tmp_path / "r.json", []

    def measure():
        calls.append(1)
        return {"value": len(calls), "nan": float("nan"), 3: (1.5,)}

    def value(settings):
        return store.measured(path, settings, MODULE, measure).result["value"]

    assert [value({"eta": 0.1}), value({"eta": 0.1})] == [1, 1]
    assert store.measured(path, {"eta": 0.1}, MODULE, measure).result == {"value": 1, "nan": None, "3": [1.5]}
    assert value({"eta": 0.2}) == 2
    for name, changed in (("code_fingerprint", "another"), ("library_versions", {"torch": "1.0"})):
        with monkeypatch.context() as patch:
            patch.setattr(store, name, lambda module, changed=changed: changed)
            first = value({"eta": 0.2})
            assert (first, value({"eta": 0.2})) == (len(calls), first)
        assert value({"eta": 0.2}) == first + 1
    record = json.loads(path.read_text())
    assert record["settings"] == {"eta": 0.2}
    assert {"torch", "numpy", "code", "device", "dtype", "threads"} <= record["made_with"].keys()


def test_what_it_was_made_with_stays_with_it(tmp_path):
    path = tmp_path / "r.json"
    for version in ("1", "2"):
        found = store.measured(path, {}, MODULE, dict, lambda version=version: {"torch": version})
        assert found.made_with == {"torch": "1"}  # of the run that measured


def test_a_damaged_file_is_reported_not_overwritten(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("{half")
    with pytest.raises(InputError, match="is not JSON"):
        store.measured(path, {}, MODULE, dict)
    assert path.read_text() == "{half"


def test_a_result_that_was_edited_is_refused(tmp_path):
    path = tmp_path / "r.json"
    store.measured(path, {}, MODULE, lambda: {"slope": 0.5})
    path.write_text(path.read_text().replace("0.5", "1.0"))
    with pytest.raises(InputError, match="is damaged: its result was changed after it was measured"):
        store.measured(path, {}, MODULE, dict)


def test_code_that_is_edited_meanwhile_is_noticed(tmp_path, monkeypatch):
    codes = iter(("before", "after"))
    monkeypatch.setattr(store, "code_fingerprint", lambda module: next(codes))
    with pytest.raises(InputError, match=r"the code was edited while .*r.json was measured"):
        store.measured(tmp_path / "r.json", {}, MODULE, dict)
    assert list(tmp_path.iterdir()) == []


def test_two_classes_of_one_module_are_two_measurements():
    class First: ...

    class Second: ...

    assert len({store.result_key({}, "eigensam.bounds.concentration.kl", kind) for kind in (None, First, Second)}) == 3
