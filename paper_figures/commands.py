"""``eigensam figures``."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from matplotlib.figure import Figure

from ..ground.console import DataRoot, Device, Download, JsonFile, progress_bar, read_path
from ..ground.device import find_device
from ..ground.errors import InputError
from ..ground.outputs import Folder, Outputs
from ..ground.pictures import PICTURES, save_figure
from ..landscapes.runs.data import load_data
from ..optim.settings import OPTIMIZERS
from ..paper_figures import bound_terms, figure1, weak_order
from .figure1 import run_directories, trained_with
from .presets import PRESETS, find_preset
from .report import comparisons, write_report
from .store import measured, single_threaded

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
    runs = run_directories(chosen, data, out, target)
    outputs.console.print(f"measuring into {out}", markup=False)
    total = 3 * len(chosen.rho_exponents) + len(runs) + len(OPTIMIZERS)
    with progress_bar("weak order", total) as (progress, task):

        def advance() -> None:
            progress.advance(task)

        def stage(description: str, completed: int) -> None:  # also where a stage was reused
            progress.update(task, description=description, completed=completed)

        orders = {"etas": chosen.etas, "rho_exponents": chosen.rho_exponents}
        weak = measured(
            out / "weak_order.json",
            orders,
            weak_order.__name__,
            lambda: weak_order.measure(chosen, advance),
            lambda: single_threaded("cpu"),
        )
        stage(f"training into {out / 'runs'}", 3 * len(chosen.rho_exponents))
        training = {path.name: settings.to_dict() for settings, path in runs.items()}  # names are hashes of all else
        count = jobs or min(os.cpu_count() or 1, len(runs))
        metrics = measured(
            out / "figure1.json",
            training,
            figure1.__name__,
            lambda: figure1.measure(runs, data, jobs=count, device=target, progress=advance),
            lambda: trained_with(runs),
        )
        stage("bounds", total - len(OPTIMIZERS))
        bounds = measured(
            out / "bound_terms.json",
            training,
            bound_terms.__name__,
            lambda: bound_terms.measure(runs, data, jobs=count, device=target, progress=advance),
            lambda: single_threaded(target),
        )
        stage("pictures", total)
        plotted: dict[str, Figure] = {
            "weak_order": weak_order.plot(weak.result),
            "figure1": figure1.plot(metrics.result),
            "bound_terms": bound_terms.plot(bounds.result),
        }
        pictures = {name: save_figure(figure, out / name)["svg"] for name, figure in plotted.items()}
        write_report(out / "report.html", chosen, pictures, weak, metrics, bounds)
    rows: list[dict[str, Any]] = comparisons(weak.result, metrics.result, bounds.result)
    made_with = {"weak_order": weak.made_with, "figure1": metrics.made_with, "bound_terms": bounds.made_with}
    outputs.save({"preset": preset, "out": str(out), "comparisons": rows, "measured_with": made_with}, device=target)
    console = outputs.console
    for row in rows:
        console.print(
            f"{row['verdict']}: {row['claim']}: {row['measured']} (the paper or its theory: {row['paper']})",
            markup=False,
        )
    console.print(f"wrote {out / 'report.html'}", markup=False)
    outputs.say_written()
