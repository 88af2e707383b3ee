"""Help lists what there is when it is shown; the command itself stays as it was."""

import typer
from typer.testing import CliRunner

from eigensam.ground.choices import with_choices
from eigensam.ground.options import strict


def _help(app):
    return " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output.split())


def test_entries_are_looked_up_when_help_is_shown():
    app, colours = typer.Typer(), {"red": 1}

    @app.command(cls=with_choices(strict({}), colour=colours))
    def paint(colour: str = typer.Option("red", help="Which.")) -> None:
        print(colour)

    assert "Which. One of: red." in _help(app)
    colours["blue"] = 2
    assert "Which. One of: red, blue." in _help(app)
    assert CliRunner().invoke(app, ["--colour", "green"]).output == "green\n"  # what chooses decides what it takes
