"""The ``eigensam`` command, assembled from each package's own commands."""

import io
import os
import re
import sys
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer

from . import __version__
from .bounds.assumptions.commands import AssumptionsCommand, assumptions
from .bounds.certificates.commands import CertifyCommand, certify_command
from .bounds.commands import BoundCommand, bound
from .bounds.ordering.commands import OrderModelsCommand, order_models_command
from .ground.choices import with_choices
from .ground.errors import InputError
from .ground.options import strict
from .landscapes.commands import SpectrumCommand, spectrum
from .optim.commands import TrainCommand, train_command
from .paper_figures.commands import figures, order_table
from .paper_figures.preset import PRESETS
from .paper_figures.registry import ITEMS
from .sde.arguments import rule_names
from .sde.commands import DERIVE_OPTIONS, derive_command
from .sde.recursion_arguments import derivable_names
from .sde.simulation.commands import SimulateCommand, simulate_command
from .sde.weak_order.commands import WEAK_ORDER_OPTIONS, weak_order

__all__ = ["app", "main"]

_UsageError: Any = typer.BadParameter.__bases__[0]  # typer brings its own copy of click, or uses click's

_OUT_OF_MEMORY = re.compile("out of memory|allocate memory|not enough memory|Storage size calculation overflowed")

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


app.command("figures", cls=with_choices(strict({}), preset=PRESETS, only=ITEMS))(figures)
app.command("derive", cls=with_choices(strict(DERIVE_OPTIONS), rule=derivable_names))(derive_command)
app.command("weak-order", cls=with_choices(strict(WEAK_ORDER_OPTIONS), rule=rule_names))(weak_order)
app.command("simulate", cls=SimulateCommand)(simulate_command)
app.command("order-table", cls=strict({}))(order_table)
app.command("train", cls=TrainCommand)(train_command)
app.command("spectrum", cls=SpectrumCommand)(spectrum)
app.command("bound", cls=BoundCommand)(bound)
app.command("order-models", cls=OrderModelsCommand)(order_models_command)
app.command("certify", cls=CertifyCommand)(certify_command)
app.command("assumptions", cls=AssumptionsCommand)(assumptions)


def main() -> None:
    """Run the command; bad input is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal cannot show are no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where what fails still has its exit code
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            sys.exit(2)
        message = error.format_message()
        if getattr(error, "option_name", "").startswith("-("):
            message += " A rule that begins with a minus: put -- before it."
        _refuse(message)
    except typer.Abort:
        sys.exit(130)
    except (BrokenPipeError, SystemExit):
        # The reader has seen enough: no verdict, and nothing to say. Click and rich turn it into exit code 1, which
        # here would be one; nothing else inside ends by SystemExit.
        _close_outputs()
        sys.exit(128 + 13)  # as a shell reports the signal
    except (InputError, OSError, MemoryError, OverflowError, RecursionError) as error:
        # The last four are what is left of a full disk, a closed folder, numbers of absurd size.
        _refuse(str(error) or type(error).__name__)
    except RuntimeError as error:
        if not _OUT_OF_MEMORY.search(str(error)):
            raise
        _refuse(f"not enough memory: {error}")  # torch has no class of its own for it on the CPU
    sys.exit(code)


def _refuse(message: str) -> NoReturn:
    print("eigensam: " + " ".join(message.split()), file=sys.stderr)
    try:
        sys.stdout.flush()
    except (OSError, AttributeError):  # full, or closed before Python began
        _close_outputs()
    sys.exit(2)


def _close_outputs() -> None:
    """What is left in the buffers goes nowhere, rather than into a second complaint when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(nowhere, stream.fileno())
