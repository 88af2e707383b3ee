"""Fields of data classes are options: defaults, help, shared names, and refusals of another entry's options."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from eigensam.ground import InputError
from eigensam.ground.settings_options import Chosen, FromFile, Group, with_settings


@dataclass(frozen=True)
class Circle:
    radius: float = field(default=1.0, metadata={"help": "Half of the width."})
    filled: bool = False
    count: int = 1


@dataclass(frozen=True)
class Box:
    width: float = 2.0
    count: int = 4
    name: str | None = None


@pytest.fixture
def app():
    app = typer.Typer()

    @app.command(cls=with_settings({}, settings=Chosen("shape", {"circle": Circle, "box": Box})))
    def draw(shape: Annotated[str, typer.Option()] = "circle", settings: Group = None, last: int = 7) -> None:
        """Draw it."""
        print(repr(settings), last)

    return app


def _run(app, *arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})
    if isinstance(result.exception, InputError):
        raise result.exception
    return result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "Circle(radius=1.0, filled=False, count=1) 7"),
        (("--radius", 3, "--filled", "--last", 8), "Circle(radius=3.0, filled=True, count=1) 8"),
        (("--shape", "box"), "Box(width=2.0, count=4, name=None) 7"),
        (("--shape", "box", "--count", 2, "--name", "a"), "Box(width=2.0, count=2, name='a') 7"),
    ],
)
def test_settings_are_made_from_options(app, arguments, expected):
    assert _run(app, *arguments).strip() == expected


def test_options_of_another_entry_are_refused(app):
    with pytest.raises(InputError, match="--width has no effect here: it belongs to --shape box"):
        _run(app, "--width", 1)
    with pytest.raises(InputError, match="--radius is given twice"):
        _run(app, "--radius", 1, "--radius", 1)


def test_help_names_every_field(app):
    text = _run(app, "--help")
    for words in ("Draw it.", "--radius", "Half of the width.", "--width", "--count", "Of --shape circle"):
        assert words in text


@dataclass(frozen=True)
class Bare:
    side: float


@dataclass(frozen=True)
class Clash:
    last: int = 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Bare, "the setting 'side' of Bare has no default"),
        (Clash, "the setting 'last' .* has the name of another option"),
    ],
)
def test_settings_that_cannot_be_options_are_said(kind, message):
    app = typer.Typer()

    @app.command(cls=with_settings({}, settings=Chosen("shape", {"kind": kind})))
    def draw(shape: Annotated[str, typer.Option()] = "kind", settings: Group = None, last: int = 7) -> None:
        """Draw it."""

    with pytest.raises(InputError, match=message):
        _run(app)


@dataclass(frozen=True)
class Ink:
    colour: str = "black"
    count: int = 9
    filled: bool = True


@dataclass(frozen=True)
class Chalk:
    dust: float = 0.5


FILE = {
    "last": 5,
    "tool": {"name": "ink", "count": 2, "colour": "red"},
}


@pytest.fixture
def two():
    """Two choices, whose settings share names; a file that says something of both."""
    app = typer.Typer()
    file = FromFile("file", lambda text: {name: FILE[name] for name in text.split("+")})
    shapes, tools = Chosen("shape", {"circle": Circle, "box": Box}), Chosen("tool", {"ink": Ink, "chalk": Chalk})

    @app.command(cls=with_settings({}, file, settings=shapes, drawn=tools))
    def draw(
        file: Annotated[str | None, typer.Option()] = None,
        shape: Annotated[str, typer.Option()] = "circle",
        settings: Group = None,
        tool: Annotated[str, typer.Option()] = "ink",
        drawn: Group = None,
        last: int = 7,
    ) -> None:
        """Draw it."""
        print(repr(settings), repr(drawn), last)

    return app


CIRCLE, INK = "Circle(radius=1.0, filled=False, count=1)", "Ink(colour='black', count=9, filled=True)"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), f"{CIRCLE} {INK} 7"),
        (("--count", 3), f"Circle(radius=1.0, filled=False, count=3) {INK} 7"),
        (("--tool-count", 3), f"{CIRCLE} Ink(colour='black', count=3, filled=True) 7"),
        (("--filled",), f"Circle(radius=1.0, filled=True, count=1) {INK} 7"),
        (("--no-tool-filled",), f"{CIRCLE} Ink(colour='black', count=9, filled=False) 7"),
        (("--file", "last"), f"{CIRCLE} {INK} 5"),
        (("--file", "last", "--last", 7), f"{CIRCLE} {INK} 7"),
        (("--file", "tool"), f"{CIRCLE} Ink(colour='red', count=2, filled=True) 7"),
        (("--file", "tool", "--tool", "ink", "--tool-count", 4), f"{CIRCLE} Ink(colour='red', count=4, filled=True) 7"),
        (("--file", "tool", "--tool", "chalk"), f"{CIRCLE} Chalk(dust=0.5) 7"),
        (("--file", "tool+last"), f"{CIRCLE} Ink(colour='red', count=2, filled=True) 5"),
    ],
)
def test_two_choices_and_a_file(two, arguments, expected):
    assert _run(two, *arguments).strip() == expected


def test_an_option_says_whose_it_is(two):
    with pytest.raises(InputError, match=r"--tool-count has no effect here: it belongs to --tool ink"):
        _run(two, "--tool", "chalk", "--tool-count", 3)
    with pytest.raises(
        InputError, match=r"belongs to --shape circle \(--tool-filled is that of --tool ink\); leave it out"
    ):
        _run(two, "--shape", "box", "--filled")
    with pytest.raises(InputError, match="--file is given twice"):
        _run(two, "--file", "last", "--file", "tool")
