"""What the batch size does to alignment, top eigenvalue and accuracy: a reviewer's question."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import fsum, isfinite
from typing import TYPE_CHECKING, Literal

from ...ground.errors import InputError
from ...ground.pictures import new_figure
from ..item import Claim, Table
from ..registry import ITEMS
from ..sweep_item import SweepItem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...optim.method import Method
    from ...optim.training.settings import TrainSettings
    from ..sweep import Group, Sweep

__all__ = ["BatchSize", "batch_size_sweep"]

_LOOKS = 5
_WEN = "Wen et al. 2022: full-batch SAM regularises the top eigenvalue; the authors: no experiment"
_AGAINST = "the authors, of earlier work: a larger batch can increase the sharpness and harm generalization"


def batch_size_sweep(
    settings: "TrainSettings",
    sizes: Sequence[int],
    *,
    equal: Literal["steps", "epochs"] = "steps",
    methods: "Sequence[Method] | None" = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> "Sweep":
    """Optimizers with minibatches of several sizes, and five looks at the spectrum on the way.

    Args:
        settings: shared by all; its batch size and epochs say how many steps, or epochs, all of them take.
        sizes: of minibatches. Where all of them divide the number of examples, lambda_1 is measured on the same ones.
        equal: what does not depend on the size; the other does.
        methods: the optimizers; default :func:`three_optimizers`.
        seeds: of each.

    Raises:
        InputError: a size above the number of examples, or data whose number is not known without ``subset``.
    """
    from ...landscapes.runs.registries import DATA
    from ..sweep_grid import optimizers_at, three_optimizers

    examples = settings.subset or DATA[settings.data].examples
    if not 0 < max(sizes) <= examples:
        raise InputError(
            f"batch sizes {list(sizes)} of {examples or 'unknown many'} examples: give smaller ones, or subset"
        )
    steps = settings.epochs * (examples // settings.batch_size)
    variants = {}
    for size in sizes:
        epochs = settings.epochs if equal == "epochs" else max(round(steps / (examples // size)), 1)
        looks = max(epochs // _LOOKS, 1)
        variants[f"B = {size}"] = replace(settings, batch_size=size, epochs=epochs, spectrum_every=looks)
    return optimizers_at(variants, methods or three_optimizers(), seeds)


def _quick() -> "Sweep":
    from ...optim.training.settings import TrainSettings

    settings = TrainSettings(data="digits", model="mlp", batch_size=64, epochs=10, subset=1408)
    return batch_size_sweep(settings, (32, 128, 352, 1408))


@ITEMS.register("batch_size", order=22)
@dataclass(frozen=True)
class BatchSize(SweepItem):
    """Alignment along training, top eigenvalue and accuracy after it, by batch size.

    Attributes:
        sweep: made by :func:`batch_size_sweep`.
    """

    label = "batch size"
    title = "Alignment, top eigenvalue and accuracy by batch size"
    sweep: "Sweep" = field(default_factory=_quick)

    def plot(self, result: "list[Group]") -> "Figure":
        """A panel for each of the three."""
        from ..sweep import last
        from ..sweep_grid import by_optimizer, draw_by_value

        figure = new_figure(3, width=3.9)
        panels = (
            ("alignment", 1.0, r"alignment $|\langle u, v_1\rangle|$, mean along training"),
            ("lambda_1", 1.0, r"top eigenvalue $\lambda_1$ at the end"),
            ("test_accuracy", 100.0, "test accuracy, %"),
        )
        for axes, (key, scale, words) in zip(figure.axes, panels, strict=True):
            lines = {
                name: [(size, last(_along(each) if key == "alignment" else each, key, scale)) for size, each in groups]
                for name, groups in by_optimizer(result, "batch_size").items()
            }
            draw_by_value(axes, lines, log=True)
            axes.set_xlabel("batch size B")
            axes.set_ylabel(words)
        figure.axes[0].set_ylim(bottom=0)
        figure.axes[1].set_yscale("log")
        figure.axes[1].legend(frameon=False)
        return figure

    def claims(self, result: "list[Group]") -> list[Claim]:
        """The largest batch against the smallest, seed by seed."""
        from ..sweep import paired_last
        from ..sweep_claims import accuracy_claim, ratio_claim
        from ..sweep_grid import by_optimizer
        from ..sweep_words import mean_text
        from ..verdict import above

        claims = []
        for name, groups in by_optimizer(result, "batch_size").items():
            (small, least), (large, most) = groups[0], groups[-1]
            if name == "SGD" or large == small:
                continue
            found = paired_last(_along(most), _along(least), "alignment")
            claims.append(
                Claim(
                    f"The perturbation of {name} is better aligned with B = {large} than with B = {small}",
                    _WEN,
                    f"{mean_text(found, 3, signed=True)}",
                    above(found, 0.0, "difference of alignments"),
                )
            )
            sharper = f"{name} ends with a larger top eigenvalue with B = {large} than with B = {small}"
            claims.append(ratio_claim(most, least, "lambda_1", sharper, _AGAINST, larger=True))
            worse = f"{name} is less accurate with B = {large} than with B = {small}"
            claims.append(accuracy_claim(least, most, worse, _AGAINST))
        return claims

    def caption(self, result: "list[Group]") -> str:
        """What is equal for all sizes."""
        from ..sweep_words import seeds_of

        settings = result[0]["settings"]
        return (
            f"{settings['model']} on {settings['data']}; {_length(result)}. Means over {seeds_of(result)}"
            ". Alignment of each optimizer's own perturbation (SGD: of its gradient) with the top eigenvector "
            "of the training loss's Hessian, over minibatches of size B and over measurements along the training."
        )

    def tables(self, result: "list[Group]") -> list[Table]:
        """All groups."""
        from ..sweep import last
        from ..sweep_grid import last_epoch_table
        from ..sweep_words import mean_text

        aligned = {each["name"]: mean_text(last(_along(each), "alignment"), 3) for each in result}
        epochs = {each["name"]: f"{each['settings']['epochs']}" for each in result}
        return [last_epoch_table(result, {"alignment,\nmean along training": aligned, "epochs": epochs})]

    def notes(self, result: "list[Group]") -> list[str]:
        """What cannot be told apart here."""
        rates = sorted({each["settings"]["lr"] for each in result})
        rate = f"is {rates[0]:g} at every size" if len(rates) == 1 else f"is {' or '.join(f'{r:g}' for r in rates)}"
        return [
            f"The learning rate {rate}, so learning rate over batch size, and with it the noise of the gradient, falls "
            "as the batch grows: what batch size does and what less noise does cannot be told apart here. A larger "
            "batch also makes each measured perturbation less noisy at the very same network.",
            "Equal numbers of steps give larger batches more passes over the data; equal numbers of epochs would leave "
            "them less trained.",
            *super().notes(result),
        ]


def _along(group: "Group") -> "Group":
    """The same with the mean alignment of all measurements of each run in place of the last one's."""
    seeds = []
    for each in group["seeds"]:
        found = [row["alignment"] for row in each.get("rows", []) if row.get("alignment") is not None]
        found = [value for value in found if isfinite(value)]
        rows = {"rows": [{"alignment": fsum(found) / len(found)} if found else {}]} if "rows" in each else {}
        seeds.append({**each, **rows})
    return {**group, "seeds": seeds}


def _length(result: "list[Group]") -> str:
    steps = {each["settings"]["epochs"] * (each["examples"] // each["settings"]["batch_size"]) for each in result}
    epochs = {each["settings"]["epochs"] for each in result}
    if len(steps) == 1:
        return f"{steps.pop():,} steps at every size, so a larger batch makes more epochs"
    if len(epochs) == 1:
        return f"{epochs.pop()} epochs at every size, so a larger batch makes fewer steps"
    return f"{min(steps):,} to {max(steps):,} steps"
