"""What an ordering says, in sentences."""

import math
from collections.abc import Mapping
from typing import Any

from .measures import CONTROLS, MEASURES

__all__ = ["TARGETS", "describe"]

TARGETS: Mapping[str, str] = {
    "gap": "gap of the bounded loss, held-out minus training",
    "error_gap": "gap of the error",
    "held_out_loss": "held-out loss",
    "held_out_error": "held-out error",
}
"""What measures are compared with."""


def describe(result: Mapping[str, Any]) -> list[str]:
    """Sentences.

    Args:
        result: what :meth:`Ordering.to_dict` gives.
    """
    records, settings = result["records"], result["settings"]
    groups = {(each["method"], each["batch_size"], each["lr"]) for each in records}
    found = [f"{len(records)} models of {len(groups)} configurations are compared."]
    if result["left_out"]:
        found.append(
            f"{len(result['left_out'])} more are left out, as their training accuracy is below {settings['fitted']:g}."
        )
    for each in result["failed"]:
        name = f"{each['method']}, batch size {each['batch_size']}, learning rate {each['lr']:g}, seed {each['seed']}"
        found.append(f"Not compared, as it failed: {name}: {each['failed']}.")
    for target in ("gap", "held_out_error"):
        rankings = [each for each in result["rankings"] if each["target"] == target]
        for verdict in ("orders", "orders the wrong way", "explained by a control"):
            names = [each for each in rankings if each["verdict"] == verdict]
            if names:
                listed = "; ".join(_ranked(each) for each in names)
                found.append(f"By {TARGETS[target]}, {_VERDICTS[verdict]}: {listed}.")
        open_ones = sum(each["verdict"] == "not resolved here" for each in rankings)
        if open_ones:
            found.append(f"By {TARGETS[target]}, not resolved here: {open_ones} of {len(rankings)} measures.")
    return [*found, *_within(result["within"]), *_reductions(result["reductions"])]


_VERDICTS = {
    "orders": "these order the models",
    "orders the wrong way": "these order them the wrong way",
    "explained by a control": "these order them, but a control explains it",
}


def _within(rows: list[dict[str, Any]]) -> list[str]:
    """Kaur, Cohen and Lipton: does the top eigenvalue order models where it is the learning rate that moves it?"""
    found = []
    for row in rows:
        if row["target"] == "gap":
            state = "resolved" if row["lower"] * row["upper"] > 0 else "not resolved"
            name = "learning rate" if row["axis"] == "lr" else "batch size"
            found.append(
                f"lambda_1 against the gap within {name} {row['value']:g} ({row['models']} models): tau = "
                f"{row['tau']:.2f} [{row['lower']:.2f}, {row['upper']:.2f}], {state}."
            )
    return found


def _reductions(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['method']} at batch size {row['batch_size']}: lambda_1 is {_ratio(row, 'lambda_1')} of SGD's"
        + (f", the gap {_ratio(row, 'gap')}" if "ln_gap" in row else "")
        + f" ({row['pairs']} pairs)."
        for row in rows
        if "ln_lambda_1" in row
    ]


def _ratio(row: Mapping[str, float], name: str) -> str:
    mean, half = row[f"ln_{name}"], row[f"ln_{name}_half_width"]
    return f"{math.exp(mean):.2f} [{math.exp(mean - half):.2f}, {math.exp(mean + half):.2f}]"


def _ranked(each: Mapping[str, Any]) -> str:
    """A measure with its tau, and with the tau given the control that explains most."""
    control = CONTROLS[each["control"]].meaning
    return f"{MEASURES[each['name']].meaning} (tau {each['tau']:.2f}; given the {control} {each['partial']:.2f})"
