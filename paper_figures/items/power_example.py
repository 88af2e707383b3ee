"""The power method of Algorithm 1 on two matrices of two rows: a worked example, as a reviewer asked for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, REFERENCE, new_figure
from ..item import Claim, Item, Progress, Table
from ..registry import ITEMS
from ..resources import Resources
from ..verdict import decide

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PowerExample"]

Result = dict[str, Any]
"""``cases``: what :func:`power_steps` found of each example."""

_EQUAL = 1e-6
"""Ours: rates that differ by less are called equal; in exact arithmetic they are."""

_CLOSE = 0.08
"""Iterates of a smaller error are not numbered: their numbers would lie on top of one another."""

_DRAWN = 6
"""Iterates that are drawn: later ones lie on top of one another."""


@ITEMS.register("power_example", order=18)
@dataclass(frozen=True)
class PowerExample(Item):
    """Each step of the power method in two dimensions.

    Attributes:
        steps: products with the matrix.
    """

    label = "power method, by hand"
    title = "The power method, step by step"
    steps: int = 8

    def measure(self, resources: Resources, progress: Progress) -> Result:
        """Iterate each example."""
        from ..measurements.power_example import EXAMPLES, power_steps

        progress(0, 1)
        found = {"cases": [power_steps(each, self.steps) for each in EXAMPLES]}
        progress(1, 1)
        return found

    def plot(self, result: Result) -> "Figure":
        """Iterates as unit vectors for each matrix, and errors with the predicted rates."""
        cases = result["cases"]
        figure = new_figure(2, math.ceil((len(cases) + 1) / 2), width=4.4, height=4.0)
        for letter, axes, case in zip("abcdefgh", figure.axes, cases, strict=False):
            _draw_iterates(axes, case, letter)
        axes = figure.axes[len(cases)]
        for case, line in zip(cases, LINES, strict=False):
            errors, rate = _errors(case), _predicted(case)
            shape = {**line, "linestyle": "", "label": f"{case['name']}; predicted: {_fraction(rate)}"}
            axes.plot(range(len(errors)), errors, **shape)
            axes.plot(
                range(len(errors)), [errors[0] * rate**k for k in range(len(errors))], color=line["color"], ls=":"
            )
        axes.set_yscale("log")
        axes.set_xlabel(r"products $p$")
        axes.set_ylabel(r"error $\tan\angle(v_p, v)$")
        axes.set_title(f"({'abcdefgh'[len(cases)]}) errors, and predicted (dotted)")
        axes.legend(fontsize=8, frameon=False)
        for spare in figure.axes[len(cases) + 1 :]:
            spare.set_axis_off()
        return figure

    def claims(self, result: Result) -> list[Claim]:
        """Rates, and which eigenvalue is found."""
        rows = []
        for case in result["cases"]:
            measured, predicted = _rate(_errors(case)), _predicted(case)
            rows.append(
                Claim(
                    f"The power method converges geometrically, {case['name']}",
                    f"ratio {_ratio_words(case)} = {_fraction(predicted)}",
                    f"ratio {measured:.6f} over {len(case['steps']) - 1} products",
                    decide(
                        abs(measured - predicted) < _EQUAL,
                        f"{measured:.6f} differs from {predicted:.6f} by {abs(measured - predicted):.1g}; "
                        f"equal is below {_EQUAL:g} (ours)",
                    ),
                )
            )
            top, last = max(case["eigenvalues"]), case["steps"][-1]["rayleigh"]
            rows.append(
                Claim(
                    f"The power method finds the largest eigenvalue, {case['name']}",
                    "the dominant one, called the top eigenvalue",
                    f"v'Av = {last:.4f} after {len(case['steps']) - 1} products; eigenvalues {_listed(case)}",
                    decide(
                        abs(last - top) < 0.01 * max(map(abs, case["eigenvalues"])),
                        f"{last:.4f} against the largest eigenvalue {top:g}, within 1 % of the dominant one (ours)",
                    ),
                )
            )
        return rows

    def caption(self, result: Result) -> str:
        """What is drawn, and what each matrix shows."""
        found = "; ".join(
            f"{case['name']}, A = {_matrix(case)}{_shift_words(case)}: eigenvalues {_listed(case)}, approached "
            f"{case['eigenvalues'][case['limit']]:g} with ratio {_fraction(_rate(_errors(case)))}"
            for case in result["cases"]
        )
        return (
            "Multiply by the matrix, scale to length 1, repeat: arrows, dark to light, are the iterates, numbered by "
            f"products; broken lines are eigenvectors. {found[:1].upper()}{found[1:]}. The error is the tangent of the "
            "angle to the eigenvector that is approached."
        )

    def tables(self, result: Result) -> list[Table]:
        """Each step of each matrix, to be followed by hand."""
        header = ["p", "v", "(A + shift) v", "length", "v'Av", "tan of the angle", "ratio"]
        found = []
        for case in result["cases"]:
            errors = _errors(case)
            rows = [
                [
                    str(p),
                    _vector(step["v"]),
                    _vector(step["product"]),
                    f"{step['norm']:.4f}",
                    f"{step['rayleigh']:.4f}",
                    f"{step['error']:.6f}",
                    "" if p == 0 else f"{step['error'] / errors[p - 1]:.4f}",
                ]
                for p, step in enumerate(case["steps"])
            ]
            note = (
                f"{case['name'].capitalize()}: A = {_matrix(case)}{_shift_words(case)}. Each row's v is the product in "
                "the row above, divided by its length."
            )
            found.append(Table(header, rows, right=(0, 3, 4, 5, 6), note=note))
        return found

    def notes(self, result: Result) -> list[str]:
        """Why the saddle matters, and what a shift does."""
        return [
            "Any start vector is c1 v1 + c2 v2. A product multiplies c1 by lambda_1 and c2 by lambda_2, so that "
            "c2/c1, the tangent of the angle, shrinks by |lambda_2/lambda_1| each time. In more dimensions this is "
            "the rate in the long run, lambda_2 being the second largest in magnitude.",
            "Magnitude decides, not size: where the most negative eigenvalue is the larger one in magnitude, as at the "
            "saddle, the iterates go to its eigenvector and change their sign each time, and Eigen-SAM would be given "
            "a direction in which the loss falls. A shift adds a constant to all eigenvalues and leaves the "
            "eigenvectors; one that makes the largest eigenvalue dominant repairs this, and changes the rate. Lanczos "
            "needs no shift.",
        ]


def _draw_iterates(axes: "Axes", case: dict[str, Any], letter: str) -> None:
    circle = [2 * math.pi * k / 200 for k in range(201)]
    axes.plot([math.cos(t) for t in circle], [math.sin(t) for t in circle], color=REFERENCE["color"], lw=0.6)
    x, y = case["vector"]
    for a, b, words, line in (
        (x, y, "eigenvector approached", {"color": LINES[1]["color"], "ls": "--"}),
        (-y, x, "the other", {"color": REFERENCE["color"], "ls": ":"}),
    ):
        axes.plot([-1.25 * a, 1.25 * a], [-1.25 * b, 1.25 * b], lw=1.4, label=words, **line)
    steps = case["steps"][: _DRAWN + 1]
    for k, step in enumerate(steps):
        a, b = step["v"]
        arrow = {"arrowstyle": "-|>", "color": LINES[0]["color"], "alpha": 1 - 0.75 * k / len(steps), "lw": 1.4}
        axes.annotate("", xy=(a, b), xytext=(0, 0), arrowprops=arrow | {"shrinkA": 0, "shrinkB": 0})
        if k == 0 or step["error"] > _CLOSE:
            axes.annotate(f"{k}", xy=(1.12 * a, 1.12 * b), ha="center", va="center", fontsize=9)
    axes.set_xlim(-1.35, 1.35)
    axes.set_ylim(-1.35, 1.35)
    axes.set_aspect("equal")
    axes.set_xlabel(r"$v^{(1)}$")
    axes.set_ylabel(r"$v^{(2)}$")
    axes.set_title(f"({letter}) {case['name']}")
    axes.legend(fontsize=8, loc="lower left", frameon=False)


def _errors(case: dict[str, Any]) -> list[float]:
    return [step["error"] for step in case["steps"]]


def _predicted(case: dict[str, Any]) -> float:
    """Ratio of the magnitudes of the shifted eigenvalues."""
    small, large = sorted(abs(value + case["shift"]) for value in case["eigenvalues"])
    return float(small / large)


def _rate(errors: Sequence[float]) -> float:
    """``exp`` of the least-squares slope of the errors' logarithms over steps; 0 where an error vanishes."""
    if min(errors) <= 0:
        return 0.0
    middle = (len(errors) - 1) / 2
    weights = [k - middle for k in range(len(errors))]
    slope = sum(w * math.log(e) for w, e in zip(weights, errors, strict=True)) / sum(w * w for w in weights)
    return math.exp(slope)


def _fraction(value: float) -> str:
    """1/3 for 0.333: of whole numbers up to 9, else decimals."""
    for below in range(1, 10):
        if abs(value * below - round(value * below)) < 1e-6:
            return str(round(value * below)) if below == 1 else f"{round(value * below)}/{below}"
    return f"{value:.3f}"


def _ratio_words(case: dict[str, Any]) -> str:
    return "|lambda_2 + shift| / |lambda_1 + shift|" if case["shift"] else "|lambda_2/lambda_1|"


def _shift_words(case: dict[str, Any]) -> str:
    return f" and a shift of {case['shift']:g}" if case["shift"] else ""


def _listed(case: dict[str, Any]) -> str:
    return " and ".join(f"{value:g}" for value in case["eigenvalues"])


def _matrix(case: dict[str, Any]) -> str:
    return "[" + "; ".join(" ".join(f"{value:g}" for value in row) for row in case["matrix"]) + "]"


def _vector(values: Sequence[float]) -> str:
    return f"({values[0]:.4f}, {values[1]:.4f})"
