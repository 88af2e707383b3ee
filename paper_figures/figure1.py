"""Figure 1 of the paper: alignment and top eigenvalue along training, averaged over seeds."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, ScalarFormatter

from ..ground.fingerprints import fingerprint
from ..ground.intervals import Interval, mean_interval
from ..ground.pictures import LINES, new_figure
from ..ground.records import read_json
from ..ground.workers import in_workers, one_thread
from ..landscapes.runs.data import DataSet
from ..optim.settings import OPTIMIZERS, TrainSettings
from ..optim.training import read_metrics, run_identity, train
from .presets import Preset
from .store import Provenance

__all__ = ["measure", "plot", "ratios", "run_directories", "trained_with"]

LABELS = {"sgd": "SGD", "sam": "SAM", "eigen-sam": "Eigen-SAM"}


def run_directories(preset: Preset, data: DataSet, out: Path, device: str) -> dict[TrainSettings, Path]:
    """Where each training run lives; the name carries the hash of all that the run depends on."""
    with one_thread():  # as the workers
        identity = run_identity(data, device)
    return {
        settings: out
        / "runs"
        / f"{settings.optimizer}-seed{settings.seed}-{fingerprint(settings.to_dict(), identity)[:12]}"
        for settings in preset.runs()
    }


def _train_one(settings: TrainSettings, data: DataSet, directory: Path, device: str) -> None:
    if directory.is_dir() and not (directory / "checkpoint.json").is_file():
        shutil.rmtree(directory)  # made by us: the name is a hash
    if not directory.is_dir():
        train(settings, data, directory, device=device, resume=True)


def measure(
    runs: dict[TrainSettings, Path], data: DataSet, *, jobs: int, device: str, progress: Callable[[], None]
) -> dict[str, list[list[dict[str, Any]]]]:
    """Metrics of every run, ``{optimizer: [seed][epoch]}``; runs that are there already are reused."""
    # One thread each: two workers with one thread beat one with two.
    for _ in in_workers(_train_one, ((s, data, path, device) for s, path in runs.items()), jobs, ordered=False):
        progress()
    return {name: [read_metrics(path) for s, path in runs.items() if s.optimizer == name] for name in OPTIMIZERS}


def trained_with(runs: dict[TrainSettings, Path]) -> Provenance:
    """What the runs were made with, as their own files say; where they differ, every value."""
    found = [read_json(path / "checkpoint.json")["made_with"] for path in runs.values()]
    result = {}
    for name in found[0]:
        values = list(dict.fromkeys(each.get(name) for each in found))
        result[name] = values[0] if len(values) == 1 else ", ".join(map(str, values))
    return result


def _series(runs: list[list[dict[str, Any]]], key: str) -> tuple[list[int], list[Interval]]:
    rows = list(zip(*[[row for row in run if key in row] for run in runs], strict=True))
    return [row[0]["epoch"] for row in rows], [mean_interval([r[key] for r in row]) for row in rows]


def ratios(metrics: dict[str, list[list[dict[str, Any]]]], key: str, over: str, under: str) -> list[float]:
    """Last-epoch ratio ``over / under`` of a metric, seed by seed (same initialisation and minibatches)."""
    return [a[-1][key] / b[-1][key] for a, b in zip(metrics[over], metrics[under], strict=True)]


def plot(metrics: dict[str, list[list[dict[str, Any]]]]) -> Figure:
    """(a) alignment, (b) lambda_1, means over seeds with 95 % bands."""
    figure = new_figure(2)
    panels = (
        ("alignment", r"alignment $|\langle u, v_1\rangle|$", "(a) perturbation-eigenvector alignment"),
        ("lambda_1", r"top eigenvalue $\lambda_1$", "(b) top Hessian eigenvalue"),
    )
    for axes, (key, label, title) in zip(figure.axes, panels, strict=True):
        for (name, runs), line in zip(metrics.items(), LINES, strict=True):
            epochs, intervals = _series(runs, key)
            axes.plot(epochs, [i.mean for i in intervals], label=LABELS[name], **line)
            axes.fill_between(
                epochs,
                [i.low for i in intervals],
                [i.high for i in intervals],
                color=line["color"],
                alpha=0.18,
                lw=0,
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.set_title(title)
        axes.legend(frameon=False)
    figure.axes[0].set_ylim(0, 1)
    figure.axes[1].set_yscale("log")
    figure.axes[1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    figure.axes[1].yaxis.set_major_formatter(ScalarFormatter())
    return figure
