"""The ``eigensam`` command, assembled from each package's own commands."""

import sys

import typer

from .bounds.commands import bound
from .landscapes import InputError
from .landscapes.commands import spectrum
from .optim.commands import train_command
from .paper_figures.commands import figures
from .sde.commands import weak_order

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Derive, simulate, verify, train and bound Sharpness-Aware Minimization.",
)
app.command("figures")(figures)
app.command("weak-order")(weak_order)
app.command("train")(train_command)
app.command("spectrum")(spectrum)
app.command("bound")(bound)


def main() -> None:
    """Run the command; bad input is one line on stderr and exit code 2."""
    try:
        app()
    except InputError as error:
        print("eigensam: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
