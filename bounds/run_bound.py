"""What ``eigensam bound`` does: check, compute, print every term."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..ground.console import progress_bar
from ..ground.device import find_device
from ..ground.outputs import Outputs
from ..landscapes.runs.run import Run
from .eigenvalue.bound import Bound
from .family import BoundFamily

__all__ = ["run_bound"]


def run_bound(
    run: Path, family: BoundFamily, *, data_root: Path | None, download: bool, device: str, json: Path | None
) -> None:
    """Bound a run, print it, and write it as JSON if that is asked for.

    Raises:
        InputError: settings out of range, no run, other data, an output that cannot be written.
    """
    outputs = Outputs(json, inputs={"RUN": run})
    family.check()  # before data are loaded
    target = find_device(device)
    found = Run(run)
    data = found.data(data_root, download=download)
    with progress_bar("starting") as (progress, task):
        result = family.bound(found, data, device=target, progress=lambda what: progress.update(task, description=what))
    outputs.save(result.to_dict(), device=target)
    _show(outputs.console, family, result)
    outputs.say_written()


def _show(console: Console, family: BoundFamily, result: Bound) -> None:
    table = Table("term", "value", "kind", title=f"{family.title}, delta = {result.delta:g}, loss in [0, 1]")
    for term in result.terms:
        table.add_row(term.name, f"{term.value:.4g}", term.kind)
    table.add_section()
    table.add_row("sum of the terms", f"{result.bound:.4g}", result.kind)
    table.add_row("before Pinsker (kl inverse)", f"{result.bound_kl:.4g}", result.kind)
    console.print(table)
    state = "VACUOUS: not below the loss's own upper bound 1" if result.vacuous else "not vacuous"
    console.print(f"{state}. This number is {'an ' if result.kind == 'estimate' else 'a '}{result.kind}. It assumes:")
    for sentence in result.assumptions:
        console.print(f"- {sentence}", markup=False)
