"""The ``eigensam`` command, assembled from each package's own commands."""

import io
import sys
from typing import Annotated, Any

import typer

from . import __version__
from .bounds.commands import bound
from .landscapes import InputError
from .landscapes.commands import spectrum
from .optim.commands import train_command
from .paper_figures.commands import figures
from .paper_figures.order_table import order_table
from .sde.commands import derive_command
from .sde.weak_order.commands import weak_order

__all__ = ["app", "main"]

_UsageError: Any = typer.BadParameter.__bases__[0]  # typer brings its own copy of click, or uses click's

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Derive, simulate, verify, train and bound Sharpness-Aware Minimization.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"eigensam {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command("figures")(figures)
app.command("derive")(derive_command)
app.command("weak-order")(weak_order)
app.command("order-table")(order_table)
app.command("train")(train_command)
app.command("spectrum")(spectrum)
app.command("bound")(bound)


def main() -> None:
    """Run the command; bad input is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal cannot show are no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            sys.exit(2)
        message = error.format_message()
        if message.startswith("No such option: -("):
            message += " A rule that begins with a minus: put -- before it."
        print("eigensam: " + " ".join(message.split()), file=sys.stderr)
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    except (InputError, OSError, MemoryError, OverflowError, RecursionError) as error:
        # The last four are what is left of a full disk, a closed folder, numbers of absurd size.
        message = " ".join(str(error).split()) or type(error).__name__
        print("eigensam: " + message, file=sys.stderr)
        sys.exit(2)
    sys.exit(code)
