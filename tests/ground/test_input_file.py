"""Only regular files are read."""

import os
from pathlib import Path

import pytest

from eigensam.ground import InputError
from eigensam.ground.input_file import read_input
from eigensam.ground.records import read_json


def test_a_file_and_a_link_to_it(tmp_path):
    (tmp_path / "a").write_bytes(b"\x00loss")
    (tmp_path / "b").symlink_to("a")
    assert read_input(tmp_path / "b", most=5) == b"\x00loss"
    with pytest.raises(InputError, match="it has 5 bytes, at most 4 are read"):
        read_input(tmp_path / "a", most=4)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/full", "/dev/null", "pipe", "socket"])
def test_what_never_ends_is_not_read(tmp_path, path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=f"cannot read .*{path}: (it is a device or a pipe|No such file)"):
        read_input(tmp_path / path)


def test_missing_and_folders(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for path, reason in (("nowhere", "No such file"), (".", "it is a folder"), ("loop", "symbolic links")):
        with pytest.raises(InputError, match=reason):
            read_input(tmp_path / path)
    with pytest.raises(InputError, match="null"):
        read_input(Path("a\0b"))


def test_a_file_of_a_terabyte_is_refused_at_once(tmp_path):
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match="at most 268435456 are read"):
        read_json(tmp_path / "hole")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' is there twice"),
        ('[{"a": {"b": 1, "b": 2}}]', "the key 'b' is there twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
    ],
)
def test_json_that_only_python_reads(tmp_path, text, reason):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=rf"is not JSON \({reason}\)"):
        read_json(tmp_path / "a.json")
