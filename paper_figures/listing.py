"""What there is, and what it takes: the items with their times, and the trainings of a preset, before any work."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ..ground.console import progress_bar
from ..ground.errors import InputError
from ..ground.outputs import Outputs
from ..ground.result_store import result_key, stored
from .item import Item
from .planned_run import PlannedRun
from .reference_times import MACHINE, REFERENCE_TIMES
from .report import duration
from .resources import Resources

__all__ = ["list_items", "plan_items"]


def list_items(items: Mapping[str, Item], preset: str, out: Path, outputs: Outputs) -> None:
    """Name, title and times of each item: measured in ``out``, and where the reference times come from."""
    reference = REFERENCE_TIMES.get(preset, {})
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "title": item.title,
            "in_the_paper": item.in_the_paper,
            "seconds_here": _seconds_here(name, item, out),
            "reference_seconds": reference.get(name),
        }
        for name, item in items.items()
    ]
    table = Table("item", "what it is", "in the paper", "measured here", "reference")
    table.columns[0].no_wrap = True
    for row in rows:
        times = [_duration(row[key]) for key in ("seconds_here", "reference_seconds")]
        table.add_row(str(row["name"]), str(row["title"]), "yes" if row["in_the_paper"] else "", *times)
    console = outputs.console
    console.print(table)
    console.print(
        f"Measured here: what the result in {out} took, trainings that were there already not counted. Reference: "
        f"preset {preset} on {MACHINE}.",
        markup=False,
    )
    outputs.save({"preset": preset, "items": rows, "reference_machine": MACHINE})


def _seconds_here(name: str, item: Item, out: Path) -> float | None:
    try:
        seconds = stored(out / f"{name}.json", type(item).__module__, type(item)).seconds
    except InputError:
        return None
    return None if math.isnan(seconds) else seconds


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def plan_items(items: Mapping[str, Item], preset: str, resources: Resources, outputs: Outputs) -> None:
    """The trainings of each item, which of them are there, and an estimate of what the others take.

    The time of a gradient is measured here, once for each network and minibatch. A training that several items
    share counts once.
    """
    from .step_times import seconds_of

    console = outputs.console
    planned = {name: list(item.planned(resources)) for name, item in items.items()}
    times = _times([run for runs in planned.values() for run in runs if not run.done], resources.device)
    rows: list[dict[str, Any]] = []
    seen: set[Any] = set()
    for name, item in items.items():
        runs = [run for run in planned[name] if run.settings not in seen]
        seen |= {run.settings for run in planned[name]}
        left = [run for run in runs if not run.done]
        found = {run: times[_kind(run)] for run in left}
        rows.append(
            {
                "name": name,
                "result": _state(name, item, resources),
                "runs": len(planned[name]),
                "cached": sum(run.done for run in planned[name]),
                "shared": len(planned[name]) - len(runs),
                "steps": sum(run.steps for run in left),
                "seconds": sum(seconds_of(run, time.seconds) for run, time in found.items()),
                "scaled": any(time.scaled for time in found.values()),
                "reference_seconds": REFERENCE_TIMES.get(preset, {}).get(name),
                "trainings": _lines(runs, times),
            }
        )
    table = Table("item", "result", "trainings", "there", "shared", "steps to go", "time, one process (estimate)")
    table.columns[0].no_wrap = True
    for row in rows:
        scaled = " (from a few images)" if row["scaled"] else ""
        time = f"{_duration(row['seconds'])}{scaled}" if row["runs"] else _besides(row)
        table.add_row(*(str(row[key]) for key in ("name", "result", "runs", "cached", "shared", "steps")), time)
    for row in rows:
        for line in row["trainings"]:
            console.print(f"{row['name']}: {line}", markup=False)
    console.print(table)
    total = sum(row["seconds"] for row in rows)
    jobs = resources.jobs
    console.print(
        f"Trainings: {_duration(total / jobs)} with {jobs} at a time on {resources.device}, estimated from "
        f"gradients that were timed now; what items without shared trainings measure comes besides.",
        markup=False,
    )
    outputs.save({"preset": preset, "items": rows, "seconds": total, "jobs": jobs}, device=resources.device)


def _besides(row: Mapping[str, Any]) -> str:
    seconds = row["reference_seconds"]
    return "not estimated" if seconds is None else f"not estimated; took {duration(seconds)} elsewhere"


def _state(name: str, item: Item, resources: Resources) -> str:
    """Whether the result is there, for this size and code."""
    path = resources.out / f"{name}.json"
    if not path.is_file():
        return "to measure"
    try:
        stored(path, type(item).__module__, type(item))
        record = json.loads(path.read_text())
        key = result_key(item.key(resources), type(item).__module__, type(item))
    except InputError:
        return "to measure (another file is there)"
    return "cached" if record["fingerprint"] == key else "to measure (other size or code)"


def _lines(runs: Sequence[PlannedRun], times: Mapping[Any, Any]) -> list[str]:
    """Trainings that differ in the seed only share a line."""
    groups: dict[str, list[PlannedRun]] = {}
    for run in runs:
        choosing = " (choosing)" if run.label.endswith("(choosing)") else ""
        label = f"{run.label.rpartition(', seed')[0]}{choosing} {_varied(run)}"
        groups.setdefault(label, []).append(run)
    from .step_times import gradients_of_a_step

    lines = []
    for label, each in groups.items():
        done = sum(run.done for run in each)
        gradient = times.get(_kind(each[0]))
        cost = ""
        if gradient and done < len(each):
            cost = f", {1000 * gradient.seconds * gradients_of_a_step(each[0].settings):.3g} ms a step"
        here = "" if each[0].data_here else f"; {each[0].settings.data} is not here: --data-root, --download"
        lines.append(f"{label}: {len(each)} x {each[0].steps} steps{cost}, {done} there already{here}")
    return lines


def _varied(run: PlannedRun) -> str:
    values = {name: value for name, value in run.settings.method.to_dict().items() if name != "name"}
    words = ", ".join(f"{name} {value}" for name, value in values.items())
    return f"({words + ', ' if words else ''}lr {run.settings.lr:g}, batch {run.settings.batch_size})"


def _kind(run: PlannedRun) -> tuple[Any, ...]:
    settings = run.settings
    return settings.model, run.shape, settings.batch_size


def _times(runs: Sequence[PlannedRun], device: str) -> dict[Any, Any]:
    from ..ground.workers import one_thread
    from .step_times import measure_gradient

    kinds = {_kind(run): run for run in runs}
    found = {}
    with progress_bar("timing gradients") as (progress, task), one_thread():
        for count, (kind, run) in enumerate(kinds.items(), start=1):
            found[kind] = measure_gradient(run, device)
            progress.update(task, completed=count, total=len(kinds))
    return found
