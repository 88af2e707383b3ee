"""A measured order as text: for a terminal with colours, and for ``print``."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from .verdict import WeakOrder

__all__ = ["as_text", "print_weak_order"]


def as_text(result: "WeakOrder") -> str:
    """One line with the verdict, then a table of step sizes, errors and slopes.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive, find_rule, verify_moments
        >>> f, sde = Quadratic.random(2), derive(find_rule("sgd"), 1, 1)
        >>> print(verify_moments(sde, landscape=f, etas=[1 / 32, 1 / 64, 1 / 128]))
        sgd by moments: pass: slope 1.000, expected 1.000 +- 0.05
                eta  weak error  slope
            0.03125    0.001466
           0.015625   0.0007328  1.000
          0.0078125   0.0003664  1.000
    """
    columns, rows = _cells(result)
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    lines = [f"{result.rule} by {result.method}: {result.verdict}: {result.reason}"]
    for row in (columns, *rows):
        lines.append("  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return "\n".join(lines)


def print_weak_order(console: Console, result: "WeakOrder", rule: str, beta: str) -> None:
    """Print the table, the verdict, where it was measured, what it would have seen and what the method adds.

    Args:
        console: where to.
        result: what was measured.
        rule: the update rule as it was given.
        beta: the exponent as it was given.
    """
    correction = " with correction" if result.correction else ""
    columns, rows = _cells(result)
    table = Table(
        *columns,
        title=f"{rule}, drift to rho^{max(result.drift, default=0)}{correction}, "
        f"rho = {result.rho_scale:g} eta^({beta}), {result.method}",
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(f"{result.verdict}: {result.reason}", markup=False)
    console.print("measured at " + "; ".join(result.details["measured"]), markup=False)
    if result.details["visible"]:
        console.print(
            "mistakes that would have been seen: "
            + ", ".join(
                f"rho^{v['rho_power']} of the {v['part']} "
                + ("never" if v["change"] is None else f"from {v['change']:.1%}")
                for v in result.details["visible"]
            )
            + " of itself on",
            markup=False,
        )
    console.print(_remarks(result))


def _cells(result: "WeakOrder") -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table."""
    local = result.method == "one-step"
    half_widths = result.details.get("half_widths")
    columns = ["eta", "local error" if local else "weak error", *(["+-"] if half_widths else []), "slope"]
    rows = []
    for i, (eta, error, slope) in enumerate(zip(result.etas, result.errors, [None, *result.slopes], strict=True)):
        width = [f"{half_widths[i]:.2g}"] if half_widths else []
        rows.append([f"{eta:.6g}", f"{error:.4g}", *width, "" if slope is None else f"{slope:.3f}"])
    return columns, rows


def _remarks(result: "WeakOrder") -> str:
    details = result.details
    match result.method:
        case "torus":
            rounding = details["rounding"] / max(result.errors[-1], 1e-300)
            text = (
                f"{details['resolution']} grid points per axis; another grid changes the last error by "
                f"{details['discretisation']:.1%}, rounding by some {rounding:.1%}"
            )
        case "one-step":
            text = f"local order of weak order + 1, at {details['points']} points, {details['digits']} digits"
        case "moments":
            text = f"over all linear and quadratic test functions in {details['dim']} dimensions"
        case _:
            text = (
                f"{details['paths']} paths (seed {details['seed']}), intervals of {details['confidence']:.0%}; slope "
                f"+- {details['slope_half_width']:.2g}; the variance is {min(details['variance_ratio']):.3g} times "
                "smaller than of independent paths, or more"
            )
    for divisor in details.get("divisors", []):
        if divisor["change"] > 1:
            text += (
                f"\nassumption check: {divisor['name']} changes by {divisor['change']:.3g} times itself in one step of "
                f"{result.etas[0]:g}: too close to 0 for the expansion there"
            )
    return text
