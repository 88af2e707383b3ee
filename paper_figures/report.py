"""The self-contained report: pictures embedded, "paper says" beside "we measured"."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..ground.intervals import mean_interval
from ..ground.records import write_atomically
from ..optim.settings import OPTIMIZERS
from .figure1 import LABELS, ratios
from .presets import Preset
from .store import Measured, Provenance
from .weak_order import ORDER_2, SECOND, THIRD

__all__ = ["comparisons", "differences", "write_report"]


def _weak_order_row(results: list[dict[str, Any]], exponent: str, label: str, claim: str) -> dict[str, str]:
    found = next(r for r in results if r["exponent"] == exponent and r["label"] == label)
    return {
        "claim": claim,
        "paper": f"theory: order {found['expected']:.2f}",
        "measured": f"last slope {found['slopes'][-1]:.3f}",
        "verdict": {"pass": "reproduced", "fail": "contradicted"}.get(found["verdict"], found["verdict"]),
    }


def _ratio_verdict(low: float, high: float) -> str:
    """What a 95 % interval of a ratio says about the claim that the ratio is below 1."""
    if high < 1:
        return "reproduced"
    return "contradicted" if low > 1 else "not resolved: the interval contains 1"


def comparisons(
    weak: list[dict[str, Any]], metrics: dict[str, Any], bounds: dict[str, dict[str, Any]]
) -> list[dict[str, str]]:
    """Rows (claim, paper, measured, verdict), every entry computed from the measurements."""
    rows = []
    if any(result["exponent"] == "1/3" for result in weak):
        rows += [
            _weak_order_row(weak, "1/3", THIRD, "Third-order SDE of SAM at rho = O(eta^(1/3)) (Theorem 4.2)"),
            _weak_order_row(weak, "1/3", SECOND, "Second-order SDE is not enough there (remainder O(rho^2))"),
        ]
    if any(result["exponent"] == "1/2" for result in weak):
        rows.append(
            _weak_order_row(weak, "1/2", SECOND, "Second-order SDE of SAM at rho = O(eta^(1/2)) (Compagnoni et al.)")
        )
    if any(result["exponent"] == "2/3" for result in weak):
        rows.append(
            _weak_order_row(weak, "2/3", ORDER_2, "Beyond the paper: an SDE of SAM of order 2 at rho = O(eta^(2/3))")
        )
    seeds = len(metrics["sam"])
    for over, under, paper in (
        ("sam", "sgd", "below 1"),
        ("eigen-sam", "sam", "0.82 to 0.90, other networks and data"),
    ):
        interval = mean_interval(ratios(metrics, "lambda_1", over, under))
        rows.append(
            {
                "claim": f"{LABELS[over]} ends with a smaller top eigenvalue than {LABELS[under]}",
                "paper": f"ratio {paper}",
                "measured": f"ratio {interval.mean:.3f} ± {interval.half_width:.3f} (95 %, {seeds} paired seeds)",
                "verdict": _ratio_verdict(interval.low, interval.high),
            }
        )
    aligned = mean_interval([run[-1]["alignment"] for run in metrics["sam"]])
    rows.append(
        {
            "claim": "SAM's perturbation is poorly aligned with the top eigenvector",
            "paper": "poor alignment; we call it poor below 0.5 (a random direction has about 1/sqrt(d))",
            "measured": f"{aligned.mean:.2f} ± {aligned.half_width:.2f} at the last epoch (95 %, {seeds} seeds)",
            "verdict": "reproduced" if aligned.high < 0.5 else "not resolved: not below 0.5",
        }
    )
    vacuous = sum(bound["vacuous"] for bound in bounds.values())
    rows.append(
        {
            "claim": "Theorem 4.1 is vacuous for over-parameterised networks",
            "paper": "agreed by the authors in the public review",
            "measured": f"vacuous for {vacuous} of {len(bounds)} networks",
            "verdict": "reproduced" if vacuous == len(bounds) else "contradicted",
        }
    )
    return rows


def _final(metrics: dict[str, Any]) -> list[dict[str, str]]:
    rows = []
    for name in OPTIMIZERS:
        row = {"optimizer": LABELS[name]}
        for key, scale, digits in (
            ("test_accuracy", 100, 2),
            ("test_loss", 1, 4),
            ("train_loss", 1, 4),
            ("lambda_1", 1, 3),
            ("alignment", 1, 2),
        ):
            interval = mean_interval([run[-1][key] * scale for run in metrics[name]])
            row[key] = f"{interval.mean:.{digits}f} ± {interval.half_width:.{digits}f}"
        rows.append(row)
    return rows


_OWN = ("device", "dtype", "threads")  # of each measurement


def differences(made_with: dict[str, Provenance]) -> list[str]:
    """What the measurements were not all made with, in words: versions, code, machine.

    Example:
        >>> differences({"a": {"torch": "2.9", "threads": 1}, "b": {"torch": "2.10", "threads": 2}})
        ['torch: 2.9 (a), 2.10 (b)']
    """
    names = dict.fromkeys(name for each in made_with.values() for name in each if name not in _OWN)
    return [
        f"{name}: " + ", ".join(f"{each.get(name)} ({figure})" for figure, each in made_with.items())
        for name in names
        if len({each.get(name) for each in made_with.values()}) > 1
    ]


def write_report(
    path: Path,
    preset: Preset,
    pictures: dict[str, Path],
    weak: Measured,
    metrics: Measured,
    bounds: Measured,
) -> None:
    """One HTML file that needs nothing beside it."""
    found = {"weak order": weak, "Figure 1": metrics, "Theorem 4.1": bounds}
    made_with = {name: each.made_with for name, each in found.items()}
    environment = Environment(
        loader=PackageLoader("eigensam.paper_figures", "."), autoescape=True, undefined=StrictUndefined
    )
    embedded = {
        name: "data:image/svg+xml;base64," + base64.b64encode(picture.read_bytes()).decode()
        for name, picture in pictures.items()
    }
    html = environment.get_template("report.html.j2").render(
        preset=preset,
        settings=preset.training.to_dict(),
        pictures=embedded,
        rows=comparisons(weak.result, metrics.result, bounds.result),
        final=_final(metrics.result),
        weak=weak.result,
        bounds={LABELS[name]: bound for name, bound in bounds.result.items()},
        made_with=made_with,
        differences=differences(made_with),
    )
    write_atomically(path, html.encode())
