"""Eigen-SAM beside its relatives, CR-SAM and Fisher SAM among them, which reviewers asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...ground.pictures import LINES, REFERENCE, new_figure
from ..item import Claim, Progress, Table
from ..registry import ITEMS
from ..resources import Resources
from ..seed_mean import has_interval
from ..sweep_item import SweepItem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...optim.training.settings import TrainSettings
    from ..sweep import Group, Sweep

__all__ = ["RELATIVES", "Relatives", "relatives_sweep"]

RELATIVES = ("cr-sam", "fisher-sam", "gsam", "asam", "friendly-sam", "vasso", "x-sam", "frob-sam")

_OURS = "Eigen-SAM"
_ASKED = ("CR-SAM", "Fisher SAM")


def relatives_sweep(
    settings: "TrainSettings",
    names: Sequence[str] = RELATIVES,
    *,
    refresh_every: int = 10,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> "Sweep":
    """SGD, SAM, Eigen-SAM, and other optimizers with the settings that their papers or released codes have.

    Args:
        settings: shared by all.
        names: of the other optimizers.
        refresh_every: steps between estimates of an eigenvector, of those that have one.
        seeds: of each.
    """
    from typing import Any

    from ...optim.registry import OPTIMIZERS
    from ..sweep import Sweep
    from ..sweep_grid import three_optimizers

    others: list[Any] = [OPTIMIZERS[name]() for name in names]
    others = [replace(m, refresh_every=refresh_every) if hasattr(m, "refresh_every") else m for m in others]
    methods = (*three_optimizers(refresh_every), *others)
    return Sweep.over({each.label: replace(settings, optimizer=each) for each in methods}, seeds)


def _quick() -> "Sweep":
    from ...optim.training.settings import TrainSettings

    return relatives_sweep(TrainSettings(data="digits", model="mlp", epochs=30, spectrum_every=30))


@ITEMS.register("relatives", order=24)
@dataclass(frozen=True)
class Relatives(SweepItem):
    """Accuracy, top eigenvalue and cost of each optimizer.

    Attributes:
        sweep: made by :func:`relatives_sweep`.
    """

    label = "relatives"
    title = "Eigen-SAM beside CR-SAM, Fisher SAM and other relatives of SAM"
    sweep: "Sweep" = field(default_factory=_quick)

    def measure(self, resources: Resources, progress: Progress) -> "list[Group]":
        """Metrics of every run, and what a step of each optimizer costs in gradients."""
        from ..measurements.step_cost import gradients_per_step
        from ..used_data import used_data

        found = super().measure(resources, progress)
        for each, (_, settings) in zip(found, self.sweep.groups, strict=True):
            data = used_data(settings.data, resources)
            channels, height, width = data.shape
            shape = channels, height, width
            each["gradients_per_step"] = gradients_per_step(settings, shape, int(data.classes))
        return found

    def plot(self, result: "list[Group]") -> "Figure":
        """Means and intervals of accuracy and top eigenvalue, a row for each optimizer."""
        from ..sweep import last

        figure = new_figure(2, height=1.4 + 0.27 * len(result))
        panels = (
            ("test_accuracy", 100.0, "test accuracy, %"),
            ("lambda_1", 1.0, r"top eigenvalue $\lambda_1$"),
        )
        names = [each["name"] for each in result]
        for axes, (key, scale, words) in zip(figure.axes, panels, strict=True):
            for place, each in enumerate(result):
                found = last(each, key, scale)
                width = found.half_width if has_interval(found) else 0.0
                line = {**LINES[1 if each["name"] == _OURS else 0], "linestyle": "none"}
                axes.errorbar([found.mean], [place], xerr=[width], capsize=3, **line)
                if each["name"] == _OURS:
                    axes.axvline(found.mean, color=REFERENCE["color"], linestyle=":", zorder=0)
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_xlabel(words)
        figure.axes[1].set_xlim(left=0)
        return figure

    def claims(self, result: "list[Group]") -> list[Claim]:
        """Whether it is better than the two that were asked for."""
        from ..sweep_claims import accuracy_claim, ratio_claim

        groups = {each["name"]: each for each in result}
        paper = 'not compared: "difficult to compare these methods beyond final performance" (the authors)'
        claims = []
        for other in _ASKED:
            if _OURS in groups and other in groups:
                pair = groups[_OURS], groups[other]
                claims += [
                    accuracy_claim(*pair, f"{_OURS} is more accurate than {other}", paper),
                    ratio_claim(*pair, "lambda_1", f"{_OURS} ends with a smaller top eigenvalue than {other}", paper),
                ]
        return claims

    def caption(self, result: "list[Group]") -> str:
        """What is compared."""
        from ..sweep_words import seeds_of

        settings = result[0]["settings"]
        return (
            f"{settings['model']} on {settings['data']} after the last epoch; means over {seeds_of(result)}"
            f". The dotted line is the mean of {_OURS}."
        )

    def tables(self, result: "list[Group]") -> list[Table]:
        """All optimizers, with their settings and costs."""
        from ..sweep_grid import last_epoch_table

        costs = {each["name"]: f"{each['gradients_per_step']:.2f}" for each in result}
        words = {each["name"]: _settings(each) for each in result}
        table = last_epoch_table(result, {"gradients\na step": costs, "settings": words})
        note = (
            f"{table.note} Gradients a step: multiplications of its matrix products and convolutions, Hessian products "
            "included, over those of SGD's."
        )
        return [replace(table, right=range(1, len(table.header) - 1), note=note)]

    def notes(self, result: "list[Group]") -> list[str]:
        """That nobody's settings were tuned."""
        return [
            "Each optimizer has the settings of its own paper or released code, made for other networks and data, and "
            "none was tuned here: radii are not comparable between methods, and another choice may change the order. "
            "Steps are equally many, costs are not.",
            *super().notes(result),
        ]


def _settings(group: "Group") -> str:
    own = {name: value for name, value in group["settings"]["optimizer"].items() if name != "name"}
    words = {"refresh_every": "k", "iterations": "p", "rho": "ρ", "alpha": "α", "gamma": "γ", "beta": "β", "eta": "η"}
    numbers = {name: value for name, value in own.items() if isinstance(value, int | float) and value is not False}
    return ", ".join(f"{words.get(name, name)} {value:g}" for name, value in numbers.items())
