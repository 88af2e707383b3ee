"""``eigensam figures``."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from matplotlib.figure import Figure

from ..landscapes import InputError, load_data
from ..landscapes.console import (
    DataRoot,
    Device,
    Download,
    JsonFile,
    find_device,
    progress_bar,
    read_path,
)
from ..landscapes.outputs import Folder, Outputs
from ..landscapes.pictures import PICTURES, save_figure
from ..optim import OPTIMIZERS
from . import bound_terms, figure1, weak_order
from .presets import PRESETS, find_preset
from .report import comparisons, write_report
from .store import measured

__all__ = ["figures"]

_RESULTS = ("weak_order", "figure1", "bound_terms")
_CONTENTS = {"runs", "report.html", *(name + end for name in _RESULTS for end in (".json", *PICTURES))}


def figures(
    preset: Annotated[str, typer.Option(help=f"{', '.join(PRESETS)}.")] = "quick",
    out: Annotated[Path, typer.Option(parser=read_path, metavar="FOLDER", help="Where everything goes.")] = Path("out"),
    jobs: Annotated[int, typer.Option(help="Trainings at a time; 0 is one per core.")] = 0,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Measure, plot and report: weak order, Figure 1, the terms of Theorem 4.1."""
    outputs = Outputs(json, folders=[Folder("--out", out, _CONTENTS)])
    chosen = find_preset(preset)
    if not 0 <= jobs <= 1024:
        raise InputError(f"jobs = {jobs}; give a positive number up to 1024, or 0 for one per core")
    target = str(find_device(device))
    data = load_data(chosen.training.data, data_root, download=download)
    runs = chosen.runs()
    outputs.console.print(f"measuring into {out}", markup=False)
    total = 3 * len(chosen.rho_exponents) + len(runs) + len(OPTIMIZERS)
    with progress_bar("weak order", total) as (progress, task):

        def advance() -> None:
            progress.advance(task)

        def stage(description: str, completed: int) -> None:  # also where a stage was reused
            progress.update(task, description=description, completed=completed)

        orders = {"etas": chosen.etas, "rho_exponents": chosen.rho_exponents}
        weak = measured(out / "weak_order.json", orders, lambda: weak_order.measure(chosen, advance))
        stage(f"training into {out / 'runs'}", 3 * len(chosen.rho_exponents))
        training = [run.to_dict() for run in runs]
        count = jobs or min(os.cpu_count() or 1, len(runs))
        metrics = measured(
            out / "figure1.json",
            training,
            lambda: figure1.measure(chosen, data, out, jobs=count, device=target, progress=advance),
        )
        stage("bounds", total - len(OPTIMIZERS))
        bounds = measured(
            out / "bound_terms.json",
            training,
            lambda: bound_terms.measure(chosen, data, out, device=target, progress=advance),
        )
        stage("pictures", total)
        plotted: dict[str, Figure] = {
            "weak_order": weak_order.plot(weak),
            "figure1": figure1.plot(metrics),
            "bound_terms": bound_terms.plot(bounds),
        }
        pictures = {name: save_figure(figure, out / name)["svg"] for name, figure in plotted.items()}
        write_report(out / "report.html", chosen, pictures, weak, metrics, bounds)
    rows: list[dict[str, Any]] = comparisons(weak, metrics, bounds)
    outputs.save({"preset": preset, "out": str(out), "comparisons": rows})
    console = outputs.console
    for row in rows:
        console.print(
            f"{row['verdict']}: {row['claim']}: {row['measured']} (the paper or its theory: {row['paper']})",
            markup=False,
        )
    console.print(f"wrote {out / 'report.html'}", markup=False)
    outputs.say_written()
