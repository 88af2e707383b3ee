"""Entries are found in their folder and by entry points, listed in order, and counted by the fingerprint."""

import sys

import pytest

from eigensam.ground import InputError
from eigensam.ground.source_code import SourceCode

HEAD = "from ..registry import SHAPES\n"


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    """A package of its own with a registry and two entries in a folder."""
    root = tmp_path / "shapes_for_test"
    files = {
        "__init__.py": "",
        "registry.py": (
            "from eigensam.ground.registry import Registry\nSHAPES = Registry('test shape', 'shapes_for_test.kinds')\n"
        ),
        "kinds/__init__.py": "",
        "kinds/square.py": HEAD + "@SHAPES.register('square', order=2)\ndef square(): return 4\n",
        "kinds/disc.py": HEAD + "@SHAPES.register('disc', order=1)\ndef disc(): return 0\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == "shapes_for_test"]:
        del sys.modules[name]


def test_a_new_file_is_a_new_entry(shapes):
    (shapes / "kinds" / "triangle.py").write_text(HEAD + "@SHAPES.register('triangle')\ndef triangle(): return 3\n")
    from shapes_for_test.registry import SHAPES

    assert list(SHAPES) == ["disc", "square", "triangle"]
    assert SHAPES["triangle"]() == 3
    assert "disc" in SHAPES
    assert "circle" not in SHAPES
    with pytest.raises(InputError, match="unknown test shape 'circle'; choose one of: disc, square, triangle"):
        SHAPES["circle"]


def test_entries_of_other_packages(shapes, monkeypatch):
    class Point:
        def load(self):
            SHAPES.register("hexagon")(lambda: 6)

    found = {"eigensam.test-shape": [Point()]}
    monkeypatch.setattr("eigensam.ground.registry.entry_points", lambda group: found[group])
    from shapes_for_test.registry import SHAPES

    assert list(SHAPES) == ["disc", "square", "hexagon"]


def test_a_name_is_taken_once(shapes):
    from shapes_for_test.registry import SHAPES

    assert "disc" in SHAPES
    with pytest.raises(InputError, match="the test shape 'disc' is registered twice"):
        SHAPES.register("disc")(lambda: 1)


def test_results_depend_on_every_entry(shapes):
    def key():
        return SourceCode(shapes, "shapes_for_test").fingerprint("shapes_for_test.registry")

    before = key()
    (shapes / "kinds" / "disc.py").write_text(
        (shapes / "kinds" / "disc.py").read_text().replace("return 0", "return 1")
    )
    after = key()
    (shapes / "kinds" / "triangle.py").write_text("sides = 3\n")
    assert len({before, after, key()}) == 3


def test_a_plug_in_that_fails_takes_nothing_away(shapes, monkeypatch):
    class Broken:
        name, value = "broken", "broken.module"

        def load(self):
            raise ZeroDivisionError("no corners")

    monkeypatch.setattr("eigensam.ground.registry.entry_points", lambda group: [Broken()])
    from shapes_for_test.registry import SHAPES

    with pytest.warns(
        UserWarning, match=r"the test shape plug-in broken \(broken.module\) cannot be loaded: no corners"
    ):
        assert list(SHAPES) == ["disc", "square"]
    assert list(SHAPES) == ["disc", "square"]  # asked again, without a word


def test_a_cell_that_is_run_again_and_a_name_of_ours(shapes):
    """An entry from outside is compared with ours first; the same one again replaces itself."""
    from shapes_for_test.registry import SHAPES

    def triangle():
        return 3

    with pytest.raises(InputError, match="'disc' is registered twice"):
        SHAPES.register("disc")(triangle)
    SHAPES.register("triangle")(triangle)
    SHAPES.register("triangle")(triangle)
    assert list(SHAPES) == ["disc", "square", "triangle"]
    SHAPES.register("object")(1)
    with pytest.raises(InputError, match="'object' is registered twice"):  # objects of one class are not one entry
        SHAPES.register("object")(2)


@pytest.mark.parametrize("name", ["../evil", "", "A", "a b", "-a", "a/b"])
def test_a_name_becomes_one_of_files(shapes, name):
    from shapes_for_test.registry import SHAPES

    with pytest.raises(InputError, match="needs another name"):
        SHAPES.register(name)


def test_packages_in_the_folder_count(shapes):
    def key():
        return SourceCode(shapes, "shapes_for_test").fingerprint("shapes_for_test.registry")

    (shapes / "kinds" / "solids").mkdir()
    (shapes / "kinds" / "solids" / "__init__.py").write_text("from .cube import sides\n")
    (shapes / "kinds" / "solids" / "cube.py").write_text("sides = 6\n")
    before = key()
    (shapes / "kinds" / "solids" / "cube.py").write_text("sides = 7\n")
    assert key() != before
