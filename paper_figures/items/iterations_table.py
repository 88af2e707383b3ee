"""How well must the eigenvector be estimated? Products per estimate by steps between estimates, with a guideline."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from ...ground.pictures import REFERENCE, new_figure
from ..estimate_overhead import estimate_overhead
from ..item import Claim, Table
from ..registry import ITEMS
from ..sweep_item import SweepItem
from ..verdict import NOT_REPRODUCED, NOT_RESOLVED, REPRODUCED, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...ground.intervals import Interval
    from ...optim.training.settings import TrainSettings
    from ..sweep import Group, Sweep

__all__ = ["IterationsTable", "iterations_sweep"]

_SAM = "SAM"
_MARGIN = 0.5
"""Points of accuracy, ours: a smaller difference is as good as none."""


def iterations_sweep(
    settings: "TrainSettings", ps: Sequence[int], ks: Sequence[int], seeds: Sequence[int] = (0, 1, 2, 3, 4)
) -> "Sweep":
    """SAM, and Eigen-SAM as in the paper with each ``p`` and ``k``."""
    from dataclasses import replace

    from ...optim.methods.eigen_sam import EigenSAMSettings
    from ...optim.methods.sam import SAMSettings
    from ..sweep import Sweep

    groups = {_SAM: replace(settings, optimizer=SAMSettings())}
    for p in ps:
        for k in ks:
            method = EigenSAMSettings(iterations=p, refresh_every=k, solver="power", guard=0.0)  # Algorithm 1
            groups[f"p = {p}, k = {k}"] = replace(settings, optimizer=method)
    return Sweep.over(groups, seeds)


def _quick() -> "Sweep":
    from ...optim.training.settings import TrainSettings

    settings = TrainSettings(data="digits", model="mlp", epochs=30, spectrum_every=30)
    return iterations_sweep(settings, ps=(1, 5, 20), ks=(10, 100))


@ITEMS.register("iterations_table", order=15)
@dataclass(frozen=True)
class IterationsTable(SweepItem):
    """Accuracy, top eigenvalue and cost by ``p`` and ``k``.

    Attributes:
        sweep: made by :func:`iterations_sweep`.
    """

    label = "p and k"
    title = "How well must the eigenvector be estimated? Accuracy for p products every k steps"
    sweep: "Sweep" = field(default_factory=_quick)

    def plot(self, result: "list[Group]") -> "Figure":
        """Accuracy gained on SAM, and the top eigenvalue over SAM's, by ``k``; a line for each ``p``."""
        from ..sweep import paired_last
        from ..sweep_grid import draw_by_value

        figure = new_figure(2)
        sam, cells = _parts(result)
        panels: tuple[tuple[str, dict[str, Any], float, str], ...] = (
            ("test_accuracy", {"scale": 100.0}, 0.0, "test accuracy minus SAM's, points"),
            ("lambda_1", {"ratio": True}, 1.0, r"$\lambda_1$ over SAM's"),
        )
        for axes, (key, how, level, words) in zip(figure.axes, panels, strict=True):
            lines: dict[str, list[tuple[float, Interval]]] = {}
            for (p, k), cell in cells.items():
                lines.setdefault(f"p = {p}", []).append((k, paired_last(cell, sam, key, **how)))
            draw_by_value(axes, lines, log=True)
            axes.axhline(level, color=REFERENCE["color"], linestyle=":", label=_SAM)
            axes.set_xlabel("k, steps between two estimates")
            axes.set_ylabel(words)
        figure.axes[0].legend(frameon=False)
        return figure

    def claims(self, result: "list[Group]") -> list[Claim]:
        """Whether few products are as good as many."""
        from ..sweep import paired_last
        from ..sweep_words import mean_text

        sam, cells = _parts(result)
        most = max((p for p, _ in cells), default=0)
        claims = []
        for (p, k), cell in cells.items():
            if p < most and (most, k) in cells:
                found = paired_last(cell, cells[most, k], "test_accuracy", scale=100.0)
                claims.append(
                    Claim(
                        f"Estimates of p = {p} products every {k} steps are as good as those of p = {most}",
                        "Algorithm 1 converges fast and needs little adjustment of p (rebuttal, Figure 1)",
                        f"{mean_text(found, signed=True)} points of test accuracy",
                        _told_apart(found, paired_last(sam, cells[most, k], "test_accuracy", scale=100.0)),
                    )
                )
        return claims

    def caption(self, result: "list[Group]") -> str:
        """What is compared."""
        from ..sweep_words import seeds_of

        settings = result[0]["settings"]
        return (
            "Eigen-SAM's accuracy minus, and its eigenvalue over, those of SAM of the same seed, "
            f"{settings['model']} on {settings['data']}; "
            f"means over {seeds_of(result)}. Each estimate takes p Hessian products."
        )

    def tables(self, result: "list[Group]") -> list[Table]:
        """One row for each cell."""
        from ..sweep import paired_last
        from ..sweep_grid import last_epoch_table
        from ..sweep_words import mean_text

        sam, cells = _parts(result)
        gains, costs = {_SAM: "0"}, {_SAM: "0 %"}
        for cell, each in cells.items():
            gains[each["name"]] = mean_text(paired_last(each, sam, "test_accuracy", scale=100.0), signed=True)
            costs[each["name"]] = _percent(_overhead(cell))
        more = {"accuracy minus\nSAM's, points": gains, "more gradients\nthan SAM": costs}
        return [last_epoch_table([sam, *cells.values()], more)]

    def notes(self, result: "list[Group]") -> list[str]:
        """A guideline, made of the measurement."""
        return [
            _guideline(result),
            f"As good as: the whole interval of the difference lies within {_MARGIN:g} points (ours). More gradients "
            "than SAM: (2p + 1)/(2k), two for each of p Hessian products and one for their graph, where k steps of SAM "
            "take 2k.",
            *super().notes(result),
        ]


def _parts(result: "list[Group]") -> "tuple[Group, dict[tuple[int, int], Group]]":
    """SAM, and the others by their p and k."""
    (sam,) = [each for each in result if each["name"] == _SAM]
    cells = {}
    for each in result:
        if each is not sam:
            optimizer = each["settings"]["optimizer"]
            cells[optimizer["iterations"], optimizer["refresh_every"]] = each
    return sam, dict(sorted(cells.items()))


def _overhead(cell: tuple[int, int]) -> float:
    p, k = cell
    return estimate_overhead(p, k)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _equivalent(found: "Interval") -> Verdict:
    if not isfinite(found.half_width):
        return Verdict(NOT_RESOLVED, "no interval of the difference: fewer than two seeds have both")
    interval = f"[{found.low:.2f}, {found.high:.2f}] points"
    if found.low >= -_MARGIN and found.high <= _MARGIN:
        return Verdict(REPRODUCED, f"{interval} lies within ±{_MARGIN:g}")
    if found.high < -_MARGIN or found.low > _MARGIN:
        return Verdict(NOT_REPRODUCED, f"{interval} lies outside of ±{_MARGIN:g}")
    return Verdict(NOT_RESOLVED, f"{interval} is neither within nor outside of ±{_MARGIN:g}")


def _told_apart(found: "Interval", without: "Interval") -> Verdict:
    """The same, with SAM as a control: where it is as good as well, nothing is said about estimates."""
    verdict = _equivalent(found)
    if verdict.word == REPRODUCED and (control := _equivalent(without)).word == REPRODUCED:
        return Verdict(NOT_RESOLVED, f"so is SAM, without any estimate: {control.decided_by}")
    return verdict


def _guideline(result: "list[Group]") -> str:
    """The cheapest cell that is as good as the one with the best mean."""
    from ..sweep import last, paired_last

    sam, cells = _parts(result)
    means = {cell: last(each, "test_accuracy").mean for cell, each in cells.items()}
    known = [cell for cell in cells if isfinite(means[cell])]
    if not known:
        return "No guideline: no cell was measured."
    best = max(known, key=means.__getitem__)

    def as_good(cell: tuple[int, int]) -> bool:
        behind = paired_last(cells[cell], cells[best], "test_accuracy", scale=100.0)
        return cell == best or _equivalent(behind).word == REPRODUCED

    cheapest = min(filter(as_good, known), key=lambda cell: (_overhead(cell), cell))
    gain = paired_last(cells[best], sam, "test_accuracy", scale=100.0)
    resolved = isfinite(gain.half_width) and gain.low > 0
    return (
        f"Guideline from these runs: p = {cheapest[0]}, k = {cheapest[1]} is the cheapest that is as good as the best "
        f"mean (p = {best[0]}, k = {best[1]}), at {_percent(_overhead(cheapest))} more gradients than SAM. "
        + ("The best is resolved to be better than SAM." if resolved else "Not even the best is resolved from SAM.")
    )
