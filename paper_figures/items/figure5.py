"""Figure 5 of the paper: losses of SAM, Reverse-SAM and explicit regularization of the gradient's norm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...ground.pictures import MANY_LINES, new_figure
from ..item import Claim, Table
from ..registry import ITEMS
from ..seed_mean import has_interval
from ..sweep_item import SweepItem
from ..verdict import below

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...optim.training.settings import TrainSettings
    from ..sweep import Group, Sweep

__all__ = ["Figure5", "gradient_norm_sweep"]

_SAM, _REVERSE, _EGR = "SAM", "Reverse-SAM", "EGR"


def gradient_norm_sweep(settings: "TrainSettings", rho: float = 0.1, seeds: Sequence[int] = (0, 1, 2, 3, 4)) -> "Sweep":
    """SAM, Reverse-SAM and EGR with one radius, and SGD beside them."""
    from ...optim.methods.egr import EGRSettings
    from ...optim.methods.reverse_sam import ReverseSAMSettings
    from ...optim.methods.sam import SAMSettings
    from ...optim.methods.sgd import SGDSettings
    from ..sweep import Sweep

    methods = {
        _SAM: SAMSettings(rho=rho),
        _REVERSE: ReverseSAMSettings(rho=rho),
        _EGR: EGRSettings(rho=rho),
        "SGD": SGDSettings(),
    }
    return Sweep.over({name: replace(settings, optimizer=each) for name, each in methods.items()}, seeds)


def _quick() -> "Sweep":
    from ...optim.training.settings import TrainSettings

    return gradient_norm_sweep(TrainSettings(data="digits", model="mlp", epochs=30, spectrum_every=30))


@ITEMS.register("figure5", order=9.2)
@dataclass(frozen=True)
class Figure5(SweepItem):
    """Training and test loss along training.

    Attributes:
        sweep: made by :func:`gradient_norm_sweep`.
    """

    label = "Figure 5"
    title = "Figure 5: SAM, Reverse-SAM and explicit gradient-norm regularization"
    in_the_paper = True
    sweep: "Sweep" = field(default_factory=_quick)

    def plot(self, result: "list[Group]") -> "Figure":
        """Both losses by epoch, on a logarithmic axis, with bands over seeds."""
        from ..sweep import curve

        figure = new_figure(2)
        for axes, (key, words) in zip(
            figure.axes, (("train_loss", "training loss"), ("test_loss", "test loss")), strict=True
        ):
            for each, line in zip(result, MANY_LINES, strict=False):
                epochs, found = curve(each, key, _logarithm)  # the axis's scale: a band of losses would reach below 0
                every = max(len(epochs) // 8, 1)
                axes.plot(epochs, [math.exp(one.mean) for one in found], label=each["name"], markevery=every, **line)
                if found and all(map(has_interval, found)):
                    low, high = [math.exp(one.low) for one in found], [math.exp(one.high) for one in found]
                    axes.fill_between(epochs, low, high, color=line["color"], alpha=0.15, lw=0)
            axes.set_yscale("log")
            axes.set_xlabel("epoch")
            axes.set_ylabel(words)
        figure.axes[0].legend()
        return figure

    def claims(self, result: "list[Group]") -> list[Claim]:
        """Whether what shares terms of SAM's expansion is as good as SAM."""
        from ..sweep import paired_last
        from ..sweep_words import mean_text

        groups = {each["name"]: each for each in result}
        rows = []
        why = {
            _REVERSE: "the third-order term is SAM's, the second-order one has the other sign",
            _EGR: "the second-order term is SAM's, the third-order one is missing",
        }
        for name, terms in why.items():
            if name in groups and _SAM in groups:
                found = paired_last(groups[_SAM], groups[name], "test_loss", ratio=True)
                rows.append(
                    Claim(
                        f"SAM ends with a lower test loss than {name}",
                        f"Figure 5 shows both losses; in the SDE {terms}",
                        f"ratio {mean_text(found, 3)} of SAM's last test loss to {name}'s",
                        below(found, 1.0, "ratio of test losses"),
                    )
                )
        return rows

    def caption(self, result: "list[Group]") -> str:
        """What is trained."""
        from ..sweep_words import seeds_of

        settings = result[0]["settings"]
        return (
            f"{settings['model']} on {settings['data']}, ρ = {settings['optimizer'].get('rho', 0):g} for all; "
            f"geometric means over {seeds_of(result, 'bands')}. Reverse-SAM steps along ∇f "
            "at x minus ρ g/|g|, EGR along ∇(f + ρ |∇f|), each of the minibatch."
        )

    def tables(self, result: "list[Group]") -> list[Table]:
        """The last epoch."""
        from ..sweep import last
        from ..sweep_words import mean_text

        keys = {"train loss": ("train_loss", 1.0, 5), "test loss": ("test_loss", 1.0, 4)}
        keys |= {"test accuracy, %": ("test_accuracy", 100.0, 2), "λ₁": ("lambda_1", 1.0, 3)}
        rows = [
            [each["name"], *(mean_text(last(each, key, scale), digits) for key, scale, digits in keys.values())]
            for each in result
        ]
        note = "Last epoch; mean ± half width of the 95 % interval over seeds."
        return [Table(["optimizer", *keys], rows, right=range(1, len(keys) + 1), note=note)]


def _logarithm(loss: float) -> float:
    return math.log(max(loss, 1e-12))  # a loss in float32 may round to 0
