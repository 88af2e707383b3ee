"""Results are reused for the same settings and the same code only."""

import json

import pytest

from eigensam.landscapes import InputError
from eigensam.paper_figures import store


def test_reuse(tmp_path, monkeypatch):
    path, calls = tmp_path / "r.json", []

    def measure():
        calls.append(1)
        return {"value": len(calls)}

    for _ in range(2):
        assert store.measured(path, {"eta": 0.1}, measure) == {"value": 1}
    assert store.measured(path, {"eta": 0.2}, measure) == {"value": 2}
    monkeypatch.setattr(store, "code_fingerprint", lambda: "another version")
    assert store.measured(path, {"eta": 0.2}, measure) == {"value": 3}
    record = json.loads(path.read_text())
    assert record["settings"] == {"eta": 0.2}
    assert "torch" in record["made_with"]


def test_a_damaged_file_is_reported_not_overwritten(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("{half")
    with pytest.raises(InputError, match="is not JSON"):
        store.measured(path, {}, dict)
    assert path.read_text() == "{half"
