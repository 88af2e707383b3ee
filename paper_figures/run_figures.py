"""What ``eigensam figures`` does: measure, draw, report, compare."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..ground.device import find_device
from ..ground.errors import InputError
from ..ground.outputs import Folder, Outputs
from .measuring import draw_items, measure_items, names_of_files
from .preset import find_preset
from .report import comparisons, write_report
from .report_page import write_page
from .resources import Resources

__all__ = ["run_figures"]

_REPORTS = ("report.html", "report.md")


def run_figures(preset: str, only: Sequence[str], resources: Resources, json: Path | None) -> None:
    """Measure a preset's items, or those that are named, into ``resources.out``, with pictures, ``report.html``
    and ``report.md``.

    Args:
        preset: its name.
        only: names of items; none are all of the preset's.
        resources: with the device as it was named, and ``jobs`` 0 for one per core.
        json: where comparisons go besides; ``-`` is standard output.

    Raises:
        InputError: an unknown name, data that are not there, a folder that cannot be written.
    """
    chosen = find_preset(preset)
    items = chosen.chosen(only)
    out = resources.out
    outputs = Outputs(json, folders=[Folder("--out", out, {"runs", *_REPORTS, *names_of_files(items)})])
    if not 0 <= resources.jobs <= 1024:
        raise InputError(f"jobs = {resources.jobs}; give a positive number up to 1024, or 0 for one per core")
    device = str(find_device(resources.device))
    resources = replace(resources, device=device, jobs=resources.jobs or os.cpu_count() or 1)
    for item in items.values():
        item.prepare(resources)
    console = outputs.console
    console.print(f"measuring into {out}", markup=False)
    found = measure_items(items, resources)
    pictures = draw_items(items, found, out)
    write_report(out / "report.html", chosen, items, found, {name: files["svg"] for name, files in pictures.items()})
    write_page(out / "report.md", items, found, {name: files["png"] for name, files in pictures.items()})
    rows = comparisons(items, found)
    result = {
        "preset": preset,
        "out": str(out),
        "comparisons": [row.to_dict() for row in rows],
        "measured_with": {name: each.made_with for name, each in found.items()},
    }
    outputs.save(result, device=device)
    for row in rows:
        console.print(
            f"{row.verdict}: {row.claim}: {row.measured} (the paper or its theory: {row.paper})", markup=False
        )
    console.print("wrote " + ", ".join(str(out / name) for name in _REPORTS), markup=False)
    outputs.say_written()
