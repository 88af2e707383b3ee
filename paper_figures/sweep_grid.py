"""Sweeps of several optimizers, each at several values of one setting: made, sorted, drawn, listed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..ground.intervals import Interval
from ..ground.pictures import MANY_LINES
from ..optim.method import Method
from ..optim.methods.eigen_sam import EigenSAMSettings
from ..optim.methods.sam import SAMSettings
from ..optim.methods.sgd import SGDSettings
from ..optim.training.settings import TrainSettings
from .item import Table
from .optimizer_names import label
from .seed_mean import has_interval
from .sweep import Group, Sweep, last
from .sweep_words import mean_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["by_optimizer", "draw_by_value", "last_epoch_table", "optimizers_at", "three_optimizers"]

_COLUMNS = {
    "test accuracy, %": ("test_accuracy", 100.0, 2),
    "test loss": ("test_loss", 1.0, 4),
    "train loss": ("train_loss", 1.0, 4),
    "λ₁": ("lambda_1", 1.0, 3),
}


def three_optimizers(refresh_every: int = 10) -> tuple[Method, ...]:
    """SGD, SAM, and Eigen-SAM as in the paper's Algorithm 1.

    Args:
        refresh_every: k (paper: 100; ours: 10, for runs of some hundred steps).
    """
    return SGDSettings(), SAMSettings(), EigenSAMSettings(refresh_every=refresh_every, solver="power", guard=0.0)


def optimizers_at(variants: Mapping[str, TrainSettings], methods: Iterable[Method], seeds: Sequence[int]) -> Sweep:
    """A group for each optimizer and variant of the settings, which share everything else.

    Example:
        >>> variants = {f"B = {size}": TrainSettings(batch_size=size) for size in (32, 64)}
        >>> [name for name, _ in optimizers_at(variants, three_optimizers()[:2], (0,)).groups]
        ['SGD, B = 32', 'SGD, B = 64', 'SAM, B = 32', 'SAM, B = 64']
    """
    groups = {
        f"{method.label}, {name}": replace(settings, optimizer=method)
        for method in methods
        for name, settings in variants.items()
    }
    return Sweep.over(groups, seeds)


def by_optimizer(groups: Iterable[Group], setting: str) -> dict[str, list[tuple[float, Group]]]:
    """By the name of the optimizer its groups, with the values of a setting, which increase.

    Example:
        >>> groups = [{"settings": {"lr": lr, "optimizer": {"name": "sam"}}} for lr in (0.2, 0.1)]
        >>> [lr for lr, _ in by_optimizer(groups, "lr")["SAM"]]
        [0.1, 0.2]
    """
    found: dict[str, list[tuple[float, Group]]] = {}
    for each in groups:
        settings = each["settings"]
        found.setdefault(label(settings["optimizer"]["name"]), []).append((settings[setting], each))
    return {name: sorted(pairs, key=lambda pair: pair[0]) for name, pairs in found.items()}


def draw_by_value(axes: "Axes", lines: Mapping[str, Sequence[tuple[float, Interval]]], *, log: bool = False) -> None:
    """A line of means with their intervals for each name, and a tick at each value.

    Lines are moved sideways by a hundredth of the axis, so that none hides another one's interval.

    Args:
        axes: to draw on.
        lines: values and means by name.
        log: whether the values are on a logarithmic axis.
    """
    ticks = sorted({value for points in lines.values() for value, _ in points})
    for place, ((name, points), style) in enumerate(zip(lines.items(), MANY_LINES, strict=False)):
        aside = 0.012 * (place - (len(lines) - 1) / 2)
        x = [v * (ticks[-1] / ticks[0]) ** aside if log else v + aside * (ticks[-1] - ticks[0]) for v, _ in points]
        errors = [found.half_width if has_interval(found) else 0.0 for _, found in points]
        axes.errorbar(x, [found.mean for _, found in points], errors, capsize=3, label=name, **style)
    if log:
        axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
    axes.minorticks_off()


def last_epoch_table(groups: Iterable[Group], more: Mapping[str, Mapping[str, Any]] | None = None) -> Table:
    """A row for each group: means over seeds after the last epoch.

    Args:
        groups: to list.
        more: further columns: for each a text by the name of the group.
    """
    more = more or {}
    rows = [
        [
            each["name"],
            *(mean_text(last(each, key, scale), digits) for key, scale, digits in _COLUMNS.values()),
            *(texts[each["name"]] for texts in more.values()),
        ]
        for each in groups
    ]
    header = ["run", *_COLUMNS, *more]
    note = "Last epoch; mean ± half width of the 95 % interval over seeds."
    return Table(header, rows, right=range(1, len(header)), note=note)
