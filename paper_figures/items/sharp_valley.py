"""SAM near a sharp valley: where its chains are, and where its SDEs say they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..item import Claim, Item, Progress, Table
from ..registry import ITEMS
from ..resources import Resources
from ..verdict import NOT_RESOLVED, Verdict, decide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SharpValley"]

Result = dict[str, Any]
"""Of :func:`compared_in_valley`, with ``valley``, its numbers, and ``size``."""

_FIRST, _SECOND, _THIRD = (f"drift order {m}" for m in (1, 2, 3))
_WEAK, _EXACT = "weak order 2", "exact drift"


@ITEMS.register("sharp_valley", order=10)
@dataclass(frozen=True)
class SharpValley(Item):
    """Distributions of SAM and of its SDEs at three times, on the level lines of a loss in two dimensions.

    Attributes:
        start: where on the valley's floor all paths begin.
        eta: learning rate; ``rho = eta^{1/3}``.
        looks: numbers of steps, multiples of 10.
        paths: of each process.
        drawn: points of each process in the picture.
    """

    label = "sharp valley"
    title = "SAM near a sharp valley"
    start: float = -2.0
    eta: float = 0.1
    looks: tuple[int, int, int] = (30, 80, 200)
    paths: int = 10_000
    drawn: int = 1500

    def measure(self, resources: Resources, progress: Progress) -> Result:
        """Move all processes by the same noise."""
        from ..measurements.sharp_valley import SHARP_VALLEY, compared_in_valley, valley_sdes

        progress(0, 1)
        rho = self.eta ** (1 / 3)
        found = compared_in_valley(valley_sdes(), self.start, self.eta, rho, self.looks, self.paths, self.drawn)
        progress(1, 1)
        start = [self.start, SHARP_VALLEY["bend"] * self.start**2]
        return {**found, "valley": SHARP_VALLEY, "start": start, "eta": self.eta, "rho": rho, "paths": self.paths}

    def plot(self, result: Result) -> "Figure":
        """A panel for each process with SAM's clouds outlined, and energy distances."""
        from ..clouds_picture import draw_clouds

        return draw_clouds(result)

    def claims(self, result: Result) -> list[Claim]:
        """Whose intervals of the energy distance to SAM lie below whose."""
        rows = (
            (_THIRD, _SECOND, "the third-order SDE is closer to SAM than the second-order one", "closer"),
            (_SECOND, _FIRST, "the second-order SDE is closer to SAM than SGD's", "closer"),
            (
                _WEAK,
                _THIRD,
                "the SDE of weak order 2 is closer to SAM than the third-order one",
                "not said; its order is not promised here",
            ),
            (
                _EXACT,
                _THIRD,
                "without truncation in rho the SDE is closer than the third-order one",
                "not said; of one order in eta, both",
            ),
        )
        return [
            Claim(
                f"Near a sharp valley, by the distribution of states, {claim} at all times",
                paper,
                "; ".join(
                    f"t = {t:g}: {_text(result, near, k)} against {_text(result, far, k)}"
                    for k, t in enumerate(result["times"])
                ),
                _verdict(
                    [_below(result, near, far, k) for k in range(len(result["times"]))],
                    result["times"],
                ),
            )
            for near, far, claim, paper in rows
        ]

    def caption(self, result: Result) -> str:
        """Where means are at the end, and what is drawn."""
        means = {name: result["means"][name][-1][0] for name in result["points"]}
        ends = ", ".join(f"{_LABELS[name]} {value:.2f}" for name, value in means.items() if name != "sam")
        return (
            f"Every point of the floor is a minimum; the walls flatten from left to right. All paths start at the star "
            f"(x = {result['start'][0]:g}). At t = {result['times'][-1]:g} SAM's {result['paths']:,} chains "
            f"are at x = {means['sam']:.2f} on average; its SDEs say: {ends}. Points: "
            f"{len(result['points']['sam'][0]):,} of each process at three times, light to dark; "
            f"outlines: 90 % of SAM's chains at these times; "
            f"eta = {result['eta']:g}, rho = {result['rho']:.2f}. Last panel: energy distance to SAM with 95 % "
            "intervals; grey: at most so much between two halves of SAM's own chains."
        )

    def tables(self, result: Result) -> list[Table]:
        """Means and energy distances."""
        rows = [
            [
                _LABELS[name],
                *(f"({mean[0]:.3f}, {mean[1]:.3f})" for mean in result["means"][name]),
                *(_text(result, name, k) for k in range(len(result["times"]))),
            ]
            for name in result["points"]
        ]
        header = ["process", *(f"mean, t = {t:g}" for t in result["times"])]
        header += [f"energy distance,\nt = {t:g}" for t in result["times"]]
        note = "Energy distance to SAM, estimate with 95 % interval; in SAM's row between two halves of its own chains."
        return [Table(header, rows, right=range(1, len(header)), note=note)]

    def notes(self, result: Result) -> list[str]:
        """The landscape."""
        v = result["valley"]
        return [
            f"f_m = s(x) r²/2 + a x + c r with r = y - {v['bend']:g} x², s(x) = {v['flat']:g} + "
            f"{v['sharp'] - v['flat']:g} (1 - tanh x)/2, and three minibatches, drawn independently: "
            f"(a, c) = ({v['along']:g}, ±{v['across']:g}) and ({-2 * v['along']:g}, 0). "
            "SDEs by splitting with steps of length eta, on the noise of SAM's paths.",
            "The order-2 SDE is derived for rho = O(eta^(2/3)); here rho = eta^(1/3), so its order is not promised.",
        ]


_LABELS = {
    "sam": "SAM",
    _FIRST: "drift order 1",
    _SECOND: "drift order 2",
    _THIRD: "drift order 3",
    _WEAK: "weak order 2",
    _EXACT: "exact drift",
}


def _distance(result: Result, name: str, place: int) -> dict[str, Any]:
    found: dict[str, Any] = result["energy_distances"][name][place]
    return found


def _text(result: Result, name: str, place: int) -> str:
    found = _distance(result, name, place)
    ends = "" if found["low"] is None else f" [{found['low']:.2g}, {found['high']:.2g}]"
    return f"{found['value']:.2g}{ends}"


def _below(result: Result, near: str, far: str, place: int) -> int:
    """1 if the first interval lies below the second one, -1 if above; 0: they overlap, or there is none."""
    a, b = _distance(result, near, place), _distance(result, far, place)
    if a["low"] is None or b["low"] is None:
        return 0
    return int(a["high"] < b["low"]) - int(b["high"] < a["low"])


def _verdict(signs: Sequence[int], times: Sequence[float]) -> Verdict:
    """Of "closer at all times": a time at which it is farther decides, too."""
    closer, farther = signs.count(1), signs.count(-1)
    said = f"intervals of energy distances lie below at {closer} of {len(times)} times, above at {farther}"
    return decide(not farther, said) if farther or closer == len(times) else Verdict(NOT_RESOLVED, said)
