"""What ``eigensam assumptions`` does: check, measure, print the table."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from ...ground.console import progress_bar
from ...ground.device import find_device
from ...ground.errors import InputError
from ...ground.outputs import Outputs
from ...landscapes.runs.run import Run
from .check_assumptions import check_assumptions
from .check_example import check_example
from .example_losses import EXAMPLES, example_loss
from .settings import AssumptionSettings
from .table import AssumptionTable

__all__ = ["run_assumptions", "run_example"]


def run_assumptions(
    run: Path,
    settings: AssumptionSettings,
    data_place: tuple[Path | None, bool],
    *,
    device: str,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Check a run.

    Args:
        run: its directory.
        settings: effort.
        data_place: folder of data that are not built in, and whether what is missing is fetched there.
        device: by name.
        json: where the table goes.
        plot: where its picture goes.

    Raises:
        InputError: no run, other data, an output that cannot be written.
    """
    outputs = Outputs(json, plot=plot, inputs={"RUN": run})
    target = find_device(device)
    found = Run(run)
    root, download = data_place
    data = found.data(root, download=download)
    with progress_bar("starting") as (progress, task):
        table = check_assumptions(
            found, data, settings, device=target, progress=lambda what: progress.update(task, description=what)
        )
    outputs.save(table.to_dict(), table.plot, device=target)
    _show(outputs.console, table)
    outputs.say_written()


def run_example(name: str | None, *, json: Path | None, plot: Path | None) -> None:
    """Check a loss in closed form, or list them.

    Raises:
        InputError: neither a run nor an example, an unknown one, an output that cannot be written.
    """
    if name is None:
        raise InputError("nothing to look at; give a RUN, or --example tilted-torus ('--example all' lists them)")
    outputs = Outputs(json, plot=plot)
    if name == "all":
        if json is not None or plot is not None:
            raise InputError("--example all is a list; give the name of one for --json or --plot")
        for each in EXAMPLES.values():
            fails = f"; fails: {each.fails}" if each.fails else ""
            outputs.console.print(f"{each.name}: {each.sentence}{fails}", markup=False)
        return
    table = check_example(example_loss(name))
    outputs.save(table.to_dict(), table.plot)
    _show(outputs.console, table)
    outputs.say_written()


def _show(console: Console, table: AssumptionTable) -> None:
    """Verdicts as a table, then a reason with its numbers and its source for each."""
    printed = Table("", "assumption", "of", "verdict", title=table.subject)
    for number, row in enumerate(table.rows, 1):
        statements = ", ".join(name.rsplit(" ", 1)[1] for name in row.statements) or "beside"
        printed.add_row(str(number), row.name, statements, row.verdict)
    console.print(printed)
    for number, row in enumerate(table.rows, 1):
        console.print(
            f"{number}. {row.verdict} ({row.ground}): {row.text} [{row.source}]", markup=False, highlight=False
        )
    for sentence in table.summary:
        console.print(sentence, markup=False)
    console.print(
        "'holds' is proved, counted, recorded or an interval; a sample of infinitely many points only refutes."
    )
