"""Outputs are checked together, written whole, JSON first."""

import json
import os
from pathlib import Path
from unittest.mock import ANY

import matplotlib.image
import pytest

from eigensam.ground import InputError
from eigensam.ground.outputs import Folder, Outputs
from eigensam.ground.pictures import new_figure


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_json_and_picture_in_new_folders(tmp_path, capsys):
    outputs = Outputs(tmp_path / "a" / "r.json", plot=tmp_path / "b" / "r.png", files={"--proof": tmp_path / "p.tex"})
    assert list(tmp_path.iterdir()) == []  # checked, not made
    outputs.save({"slope": float("nan")}, lambda: new_figure(1))
    outputs.save_text("--proof", lambda: "qed")
    outputs.say_written()
    assert json.loads((tmp_path / "a" / "r.json").read_text()) == {"slope": None, "made_with": ANY}
    assert matplotlib.image.imread(tmp_path / "b" / "r.png").ndim == 3
    assert (tmp_path / "p.tex").read_text() == "qed"
    said = capsys.readouterr().out.splitlines()
    assert [line.split("/")[-1] for line in said] == ["r.json", "r.png", "p.tex"]
    assert len(list(tmp_path.rglob("*"))) == 5  # no temporary file is left


def test_a_picture_that_cannot_be_drawn_leaves_the_json(tmp_path):
    (tmp_path / "a.svg").write_text("of yesterday")
    with pytest.raises(ZeroDivisionError):
        Outputs(tmp_path / "a.json", plot=tmp_path / "a.svg").save({"slope": 1}, lambda: 1 / 0)
    assert json.loads((tmp_path / "a.json").read_text())["slope"] == 1
    assert (tmp_path / "a.svg").read_text() == "of yesterday"


def test_standard_output_holds_nothing_but_json(capsys):
    outputs = Outputs(Path("-"))
    outputs.console.print("for people")
    outputs.save({"slope": 1})
    outputs.say_written()
    out, err = capsys.readouterr()
    assert json.loads(out)["slope"] == 1
    assert err == "for people\n"


def test_nothing_asked_for_nothing_written(tmp_path, capsys):
    outputs = Outputs(None)
    outputs.save({}, lambda: pytest.fail("drawn"))
    outputs.save_text("--proof", lambda: pytest.fail("written"))
    outputs.console.print("for people")
    assert capsys.readouterr() == ("for people\n", "")
    assert list(tmp_path.iterdir()) == []


def test_links_are_written_through(tmp_path):
    (tmp_path / "link").symlink_to("new/a.json")
    Outputs(tmp_path / "link").save({})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new" / "a.json").is_file()


@pytest.mark.parametrize("path", ["folder", "/", "/dev/null", "/dev/full", "pipe", "loop", "file/a", "x" * 300, "-"])
def test_places_where_no_file_can_be(tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="--proof"):
        Outputs(None, files={"--proof": Path(path)})
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_refuses_files(tmp_path, monkeypatch):
    """Whatever the permissions say: a read-only disk refuses root, too."""

    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("eigensam.ground.outputs.tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match=r"cannot write --json a.json: Read-only file system"):
        Outputs(Path("a.json"))
    with pytest.raises(InputError, match=r"cannot write --out new: Read-only file system"):
        Outputs(None, folders=[Folder("--out", Path("new"))])


def test_the_longest_name_that_can_be_written_is_taken(tmp_path):
    """Beside the file stands a temporary one with a longer name."""
    longest = max(n for n in range(200, 256) if _taken("x" * n))
    Outputs(Path("x" * longest)).save({})
    assert [path.name for path in tmp_path.iterdir()] == ["x" * longest]


def _taken(name):
    try:
        Outputs(Path(name))
    except InputError:
        return False
    return True


@pytest.mark.parametrize(
    ("one", "other"), [("a", "a"), ("a", "./a"), ("a", "b/../a"), ("link/a", "b/a"), ("to-a", "a"), ("a", "a/c")]
)
def test_two_outputs_in_one_place(tmp_path, one, other):
    (tmp_path / "b").mkdir()
    (tmp_path / "link").symlink_to("b")
    (tmp_path / "to-a").symlink_to("a")
    for first, second in ((one, other), (other, one)):
        with pytest.raises(InputError, match=r"--json .*--state"):
            Outputs(Path(first), files={"--state": Path(second)})


def test_inputs_are_not_overwritten(tmp_path):
    (tmp_path / "mine.json").touch()
    (tmp_path / "link").symlink_to("mine.json")
    for path in ("mine.json", "link"):
        with pytest.raises(InputError, match=r"--json .* would overwrite --landscape"):
            Outputs(Path(path), inputs={"--landscape": Path("mine.json")})


@pytest.mark.parametrize("path", ["out", "out/report.html", "out/runs/a", "own", "own/a"])
def test_files_in_the_way_of_a_folder(path):
    folders = [Folder("--out", Path("out"), {"report.html", "runs"}), Folder("--out", Path("own"))]
    with pytest.raises(InputError, match="is in the way of --out"):
        Outputs(Path(path), folders=folders)
    Outputs(Path("out/mine.json"), folders=folders)
    with pytest.raises(InputError, match="is in the way of --out"):
        Outputs(Path("new"), folders=[Folder("--out", Path("new/out"), {"a"})])


@pytest.mark.parametrize("name", ["a", "a.gif", "a.PNG", "svg", ".svg", "a.svg.gz"])
def test_pictures_of_unknown_format(name):
    with pytest.raises(InputError, match=r"is not one of: .svg, .pdf, .png"):
        Outputs(None, plot=Path(name))
