"""JSON is whole or absent; provenance says what made a result."""

import json
from pathlib import Path

import pytest
import torch

from eigensam.ground import (
    InputError,
    code_fingerprint,
    library_versions,
    provenance,
    read_json,
    records,
    write_atomically,
    write_json,
)


def test_nan_and_infinity_become_null(tmp_path):
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"a": [float("inf"), 1.5, (float("nan"),)], "p": tmp_path, 3: True})
    assert json.loads(path.read_text()) == {"a": [None, 1.5, [None]], "p": str(tmp_path), "3": True}


def test_a_failed_write_leaves_nothing_and_keeps_the_old(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, 1)
    monkeypatch.setattr(records.Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(InputError, match=r"cannot write .*a.json: No space left; choose a writable place"):
        write_atomically(path, b"2")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert read_json(path) == 1


def test_unreadable_json(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nothing.json: No such file"):
        read_json(tmp_path / "nothing.json")
    (tmp_path / "bad.json").write_bytes(b"\x80\x04pickle")
    with pytest.raises(InputError, match=r"is not JSON; .* remove or restore it"):
        read_json(tmp_path / "bad.json")


def test_special_files_are_left_alone_and_links_are_followed(tmp_path):
    with pytest.raises(InputError, match="is not a regular file"):
        write_json(Path("/dev/null"), 1)
    (tmp_path / "link").symlink_to(tmp_path / "target.json")
    write_json(tmp_path / "link", 5)
    assert read_json(tmp_path / "target.json") == 5
    assert (tmp_path / "link").is_symlink()


def test_provenance():
    made_with = provenance()
    assert made_with["eigensam"] == "0.1.0"
    assert made_with["code"] == code_fingerprint()
    assert library_versions("eigensam.cli").items() <= made_with.items()
    assert (made_with["device"], made_with["dtype"], made_with["threads"]) == ("cpu", "float64", 1)
    assert provenance(dtype=torch.float32)["dtype"] == "float32"


def test_the_commit_is_that_of_the_package_or_none(monkeypatch, tmp_path):
    """Neither another repository's, which hooks name in the environment, nor an error after hours of work."""
    commit = records._commit.__wrapped__
    own = commit()
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert commit() == own
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() is None
