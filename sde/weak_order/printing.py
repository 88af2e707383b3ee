"""A measured order in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from .verdict import WeakOrder

__all__ = ["print_weak_order"]


def print_weak_order(console: Console, result: WeakOrder, rule: str, beta: str) -> None:
    """Print the table, the verdict, where it was measured, what it would have seen and what the method adds.

    Args:
        console: where to.
        result: what was measured.
        rule: the update rule as it was given.
        beta: the exponent as it was given.
    """
    correction = " with correction" if result.correction else ""
    columns, rows = result.table()
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


def _remarks(result: WeakOrder) -> str:
    details = result.details
    match result.method:
        case "torus":
            rounding = details["rounding"] / max(result.errors[-1], 1e-300)
            text = (
                f"{details['resolution']} grid points per axis; another grid changes the last error by "
                f"{details['discretisation']:.1%}, rounding by some {rounding:.1%}"
            )
            if details.get("nodes"):
                text += f"; {details['nodes']} nodes of memory{_layer(details['initial_layer'])}"
        case "one-step":
            text = f"local order of weak order + 1, at {details['points']} points, {details['digits']} digits"
        case "moments":
            text = f"over all linear and quadratic test functions in {details['dim']} dimensions"
            if "times" in details:
                text += f", at {details['times']} times{_layer(details['initial_layer'])}"
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


def _layer(found: dict[str, Any] | None) -> str:
    """What the position itself does, where memory is fast."""
    if found is None:
        return ""
    last = {name: "unknown" if slopes[-1] is None else f"{slopes[-1]:.2f}" for name, slopes in found["slopes"].items()}
    return (
        f"; over all steps the slow variable x + eta chi has slope {last['slow_variable']}, and x itself "
        f"{last['position']}: {last['after_layer']} after the {found['steps'][-1]} steps of the initial layer, "
        f"{last['from_mean']} from memory at its mean"
    )
