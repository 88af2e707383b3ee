"""Figure 4 of the paper: how sensitive Eigen-SAM is to alpha and to rho."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...ground.intervals import Interval, mean_interval
from ...ground.pictures import LINES, new_figure
from ..item import Claim, Table
from ..registry import ITEMS
from ..seed_mean import has_interval
from ..sweep_item import SweepItem
from ..verdict import NOT_RESOLVED, Verdict, decide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...optim.training.settings import TrainSettings
    from ..sweep import Group, Sweep

__all__ = ["Figure4", "sensitivity_sweep"]


def sensitivity_sweep(
    settings: "TrainSettings", alphas: Sequence[float], rhos: Sequence[float], seeds: Sequence[int] = (0, 1, 2, 3, 4)
) -> "Sweep":
    """Eigen-SAM of ``settings`` with other alphas, then with other radii, where SAM goes beside it.

    Args:
        settings: whose optimizer is Eigen-SAM.
        alphas: at the settings' radius; SAM there is alpha = 0.
        rhos: at the settings' alpha.
        seeds: of each.
    """
    from ...optim.methods.eigen_sam import EigenSAMSettings
    from ...optim.methods.sam import SAMSettings
    from ..sweep import Sweep

    method = settings.method
    assert isinstance(method, EigenSAMSettings)
    eigen = [replace(method, alpha=alpha) for alpha in alphas] + [replace(method, rho=rho) for rho in rhos]
    sam = [SAMSettings(rho=rho) for rho in dict.fromkeys([method.rho, *rhos])]
    groups = {_name(each): replace(settings, optimizer=each) for each in (*sam, *eigen)}
    return Sweep.over(groups, seeds)


def _name(method: Any) -> str:
    alpha = f", α = {method.alpha:g}" if hasattr(method, "alpha") else ""
    return f"{method.label}, ρ = {method.rho:g}{alpha}"


def _quick() -> "Sweep":
    from ...optim.methods.eigen_sam import EigenSAMSettings
    from ...optim.training.settings import TrainSettings

    method = EigenSAMSettings(refresh_every=10, solver="power", guard=0.0)
    settings = TrainSettings(method, data="digits", model="mlp", epochs=30, spectrum_every=30)
    return sensitivity_sweep(settings, (0.05, 0.1, 0.2, 0.4, 0.8), (0.025, 0.05, 0.1, 0.2, 0.4))


@ITEMS.register("figure4", order=9.1)
@dataclass(frozen=True)
class Figure4(SweepItem):
    """Accuracy and top eigenvalue by alpha and by rho.

    Attributes:
        sweep: made by :func:`sensitivity_sweep`.
    """

    label = "Figure 4"
    title = "Figure 4: sensitivity of Eigen-SAM to α and ρ"
    in_the_paper = True
    sweep: "Sweep" = field(default_factory=_quick)

    def plot(self, result: "list[Group]") -> "Figure":
        """Accuracies above, eigenvalues below; by alpha at the left, by rho at the right."""
        from ..sweep import last

        figure = new_figure(2, 2, height=3.0)
        rows = (("test_accuracy", 100.0, "test accuracy, %"), ("lambda_1", 1.0, r"top eigenvalue $\lambda_1$"))
        for row, (key, scale, words) in enumerate(rows):
            by_alpha, by_rho = figure.axes[2 * row : 2 * row + 2]
            alphas = _by_alpha(result)
            _draw(by_alpha, [a for a, _ in alphas], [last(g, key, scale) for _, g in alphas], "Eigen-SAM", 0)
            by_alpha.set_xlabel(r"weight $\alpha$ of the eigenvector (0: SAM)")
            for place, (name, groups) in enumerate(_by_rho(result).items()):
                aside = 1.05 ** (2 * place - 1)  # so that no interval hides another
                _draw(by_rho, [aside * r for r, _ in groups], [last(g, key, scale) for _, g in groups], name, place)
            by_rho.set_xlabel(r"radius $\rho$")
            by_rho.set_xscale("log")
            ticks = sorted({r for groups in _by_rho(result).values() for r, _ in groups})
            by_rho.set_xticks(ticks, [f"{r:g}" for r in ticks])
            by_rho.minorticks_off()
            by_rho.legend()
            for axes in (by_alpha, by_rho):
                axes.set_ylabel(words)
        figure.axes[0].set_title("(a)")
        figure.axes[1].set_title("(b)")
        return figure

    def claims(self, result: "list[Group]") -> list[Claim]:
        """Whether some weight, and whether some radius, is better than SAM's."""
        alphas = _by_alpha(result)
        radii = _by_rho(result)
        sam_by_rho = dict(radii.get("SAM", []))
        pairs = {
            "α": {f"{a:g}": (g, alphas[0][1]) for a, g in alphas[1:]},
            "ρ": {f"{r:g}": (g, sam_by_rho[r]) for r, g in radii.get("Eigen-SAM", []) if r in sam_by_rho},
        }
        said = {
            "α": "Some weight α > 0 gives a better accuracy than α = 0, which is SAM",
            "ρ": "At some radius ρ Eigen-SAM's accuracy is better than SAM's",
        }
        paper = {
            "α": "Figure 4(a): accuracy by α, of which 0.05, 0.1 and 0.2 are tuned over",
            "ρ": "Figure 4(b): accuracy by ρ",
        }
        return [_best(said[name], paper[name], name, each) for name, each in pairs.items() if each]

    def caption(self, result: "list[Group]") -> str:
        """What is varied."""
        from ..sweep_words import seeds_of

        eigen = [each["settings"] for each in result if "alpha" in each["settings"]["optimizer"]]
        return (
            f"{eigen[0]['model']} on {eigen[0]['data']}: accuracy and top eigenvalue of the training loss "
            "after the last epoch, (a) by the weight α of the eigenvector and (b) by the radius ρ; "
            f"means over {seeds_of(result)}."
        )

    def tables(self, result: "list[Group]") -> list[Table]:
        """All groups."""
        from ..sweep import last
        from ..sweep_words import mean_text

        keys = {"test accuracy, %": ("test_accuracy", 100.0, 2), "test loss": ("test_loss", 1.0, 4)}
        keys |= {"train loss": ("train_loss", 1.0, 4), "λ₁": ("lambda_1", 1.0, 3)}
        rows = [
            [each["name"], *(mean_text(last(each, key, scale), digits) for key, scale, digits in keys.values())]
            for each in result
        ]
        note = "Last epoch; mean ± half width of the 95 % interval over seeds."
        return [Table(["run", *keys], rows, right=range(1, len(keys) + 1), note=note)]


def _draw(axes: Any, x: list[float], found: list[Interval], name: str, place: int) -> None:
    widths = [each.half_width if has_interval(each) else 0.0 for each in found]
    axes.errorbar(x, [each.mean for each in found], widths, capsize=3, label=name, **LINES[place])


def _optimizer(group: "Group") -> dict[str, Any]:
    found: dict[str, Any] = group["settings"]["optimizer"]
    return found


def _middle(result: "list[Group]") -> float:
    """The radius at which alpha varies."""
    radii = [_optimizer(each)["rho"] for each in result if "alpha" in _optimizer(each)]
    middle: float = max(radii, key=lambda rho: (radii.count(rho), -rho))
    return middle


def _by_alpha(result: "list[Group]") -> "list[tuple[float, Group]]":
    rho = _middle(result)
    found = [(_optimizer(each).get("alpha", 0.0), each) for each in result if _optimizer(each)["rho"] == rho]
    return sorted(found, key=lambda pair: pair[0])


def _by_rho(result: "list[Group]") -> "dict[str, list[tuple[float, Group]]]":
    alphas = [_optimizer(each)["alpha"] for each in result if "alpha" in _optimizer(each)]
    alpha = max(alphas, key=alphas.count)
    found: dict[str, list[tuple[float, Group]]] = {"Eigen-SAM": [], "SAM": []}
    for each in result:
        if _optimizer(each).get("alpha", alpha) == alpha:
            found["Eigen-SAM" if "alpha" in _optimizer(each) else "SAM"].append((_optimizer(each)["rho"], each))
    return {name: sorted(groups, key=lambda pair: pair[0]) for name, groups in found.items() if groups}


def _best(claim: str, paper: str, name: str, pairs: "dict[str, tuple[Group, Group]]") -> Claim:
    """Whether one of several is better than its control: intervals as wide as so many looks ask for (Bonferroni)."""
    from ..sweep import paired_differences
    from ..sweep_words import mean_text

    confidence = 1 - 0.05 / len(pairs)
    found = {value: paired_differences(*pair, "test_accuracy", scale=100.0) for value, pair in pairs.items()}
    # Of accuracies that differ by as many images in every seed no spread is known.
    enough = {value: mean_interval(each, confidence) for value, each in found.items() if len({*each}) > 1}
    words = f"of {len(pairs)} intervals at {100 * confidence:.3g} % (Bonferroni)"
    if not enough:
        why = "of no value there are seeds that differ: no interval"
        return Claim(claim, paper, why, Verdict(NOT_RESOLVED, why))
    best = max(enough, key=lambda value: enough[value].mean)
    top = enough[best]
    measured = f"largest mean difference {mean_text(top, signed=True)} points at {name} = {best}"
    if any(each.low > 0 for each in enough.values()):
        sure = [value for value, each in enough.items() if each.low > 0]
        verdict = decide(True, f"{words}, those at {name} = {', '.join(sure)} lie above 0")
    elif all(each.high < 0 for each in enough.values()):
        verdict = decide(False, f"{words}, all lie below 0")
    else:
        verdict = Verdict(NOT_RESOLVED, f"{words}, none lies above 0; the largest ends at {top.low:+.2f}")
    return Claim(claim, paper, measured, verdict)
