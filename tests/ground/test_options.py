"""An option that would be ignored is refused; every table names options that exist."""

import pytest
import typer

from eigensam.cli import app
from eigensam.ground import InputError
from eigensam.ground.options import only, only_with, strict


@pytest.fixture
def run():
    toy = typer.Typer()
    seen = []

    @toy.command(cls=strict({"grain": only("kind", "rye", "oat", "malt"), "depth": only_with("deep")}))
    def bake(
        kind: str = "rye",
        grain: int = 1,
        deep: bool = False,
        depth: int = 1,
        name: list[str] = typer.Option([]),  # noqa: B008 (typer's way)
    ) -> None:
        seen.append((kind, grain, deep, depth, name))

    def call(*arguments):
        typer.main.get_command(toy)(list(arguments), standalone_mode=False)
        return seen[-1]

    return call


def test_what_applies_is_taken(run):
    assert run("--grain", "2") == ("rye", 2, False, 1, [])
    assert run("--kind", "oat", "--grain", "3", "--deep", "--depth", "4", "--name", "a", "--name", "b") == (
        *("oat", 3, True, 4),
        ["a", "b"],
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--kind", "rock", "--grain", "2"],
            "--grain has no effect here: it belongs to --kind rye, oat or malt; leave",
        ),
        (["--grain", "1", "--kind", "rock"], "--grain has no effect here"),  # also where it is the default
        (["--depth", "2"], "--depth has no effect here: it belongs to --deep; leave it out"),
        (["--grain", "1", "--grain=1"], "--grain is given twice; give it once"),
        (["--deep", "--deep"], "--deep is given twice"),
        (["--deep", "--no-deep"], "--deep is given twice"),
    ],
)
def test_what_would_be_ignored_is_refused(run, arguments, message):
    with pytest.raises(InputError, match=message):
        run(*arguments)


@pytest.mark.parametrize("command", [each.name for each in app.registered_commands])
def test_conditions_are_of_options_that_exist(command):
    found = typer.main.get_command(app).commands[command]
    names = {parameter.name for parameter in found.get_params(click_context(found))}
    assert found.known_conditions.keys() <= names
    assert found.known_conditions or command in ("figures", "order-table", "bound", "order-models")


def click_context(command):
    return command.context_class(command)
