"""From records of trained models to what orders them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...ground.errors import InputError
from ...ground.holm import holm
from .measures import CONTROLS, MEASURES
from .rank_statistics import (
    Axes,
    bootstrap_counts,
    conditional_sign_error,
    granulated_tau,
    kendall_tau,
    partial_tau,
    permutation_p,
    spearman,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Ordering", "Ranking", "Verdict", "order_models"]

Array = NDArray[np.float64]
Record = Mapping[str, Any]
Verdict = Literal["orders", "orders the wrong way", "explained by a control", "not resolved here"]

_LEVEL = 0.05
_FEWEST = 6  # configurations, for intervals over them to mean something: ours
AXES = "method", "batch_size", "lr", "seed"


@dataclass(frozen=True)
class Ranking:
    """How one measure ranks the models.

    Attributes:
        name: of the measure.
        target: what it is compared with: ``gap``, ``error_gap``, ``held_out_loss`` or ``held_out_error``.
        tau: Kendall's, over all models.
        lower: of its 95 % interval over configurations.
        upper: likewise.
        spearman: rank correlation.
        p_value: by permutation of configurations, adjusted for all measures of the target (Holm).
        granulated: Jiang et al.'s coefficient.
        along: its parts, by hyper-parameter.
        sign_error: largest conditional sign error, with its hyper-parameter.
        control: the one that explains most of it.
        partial: ``tau`` given that control.
        partial_lower: of its 95 % interval.
        partial_upper: likewise.
        verdict: in words.
    """

    name: str
    target: str
    tau: float
    lower: float
    upper: float
    spearman: float
    p_value: float
    granulated: float
    along: dict[str, float]
    sign_error: tuple[str, float, int] | None
    control: str
    partial: float
    partial_lower: float
    partial_upper: float
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Ordering:
    """What orders the models.

    Attributes:
        settings: JSON-ready.
        records: one for each model that was compared.
        left_out: those below the training accuracy that was asked for.
        failed: those that could not be trained or measured, with the reason.
        rankings: for each target and measure.
        within: Kaur, Cohen and Lipton's question: ``tau`` of ``lambda_1`` within each learning rate and batch size.
        reductions: ``ln`` of SAM's over SGD's ``lambda_1`` and gap, for each batch size, with intervals over seeds.
    """

    settings: dict[str, Any]
    records: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    rankings: list[Ranking]
    within: list[dict[str, Any]]
    reductions: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "rankings": [each.to_dict() for each in self.rankings]}

    def __repr__(self) -> str:
        from .words import describe

        return "\n".join(describe(self.to_dict()))

    def plot(self) -> "Figure":
        """Every measure against the gap, and ``tau`` with its intervals."""
        from .picture import draw_ordering

        return draw_ordering(self.to_dict())


def order_models(records: Sequence[Record], settings: Mapping[str, Any]) -> Ordering:
    """Rank correlations of every measure with every target, with what may explain them away.

    Args:
        records: of trained models: the measures, ``method``, ``batch_size``, ``lr``, ``rho``, ``seed``.
        settings: with ``fitted``, ``keep_unfitted`` and ``resamples``.

    Raises:
        InputError: fewer than six configurations are left.
    """
    failed, records = [dict(each) for each in records if "failed" in each], [r for r in records if "failed" not in r]
    threshold = 0.0 if settings["keep_unfitted"] else settings["fitted"]
    kept = [dict(each) for each in records if each["train_accuracy"] >= threshold]
    left_out = [dict(each) for each in records if each["train_accuracy"] < threshold]
    groups = _groups(kept)
    if len(groups) < _FEWEST:
        raise InputError(
            f"{len(kept)} of {len(records)} models, of {len(groups)} configurations, have a training accuracy of at "
            f"least {threshold}; need {_FEWEST} configurations: train longer, or --keep-unfitted"
        )
    rankings = []
    for target in ("gap", "error_gap", "held_out_loss", "held_out_error"):
        rankings += _rankings(kept, groups, target, settings["resamples"])
    return Ordering(
        dict(settings),
        kept,
        left_out,
        failed,
        rankings,
        _within(kept, settings["resamples"]),
        _reductions(kept),
    )


def _groups(records: Sequence[Record]) -> list[list[int]]:
    found: dict[tuple[Any, ...], list[int]] = {}
    for i, each in enumerate(records):
        found.setdefault((each["method"], each["batch_size"], each["lr"]), []).append(i)
    return list(found.values())


def _column(records: Sequence[Record], name: str) -> Array:
    return np.array([float(each[name]) for each in records])


def _interval(values: Array) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return math.nan, math.nan
    low, high = np.quantile(finite, [_LEVEL / 2, 1 - _LEVEL / 2])
    return float(low), float(high)


def _rankings(records: Sequence[Record], groups: list[list[int]], target: str, resamples: int) -> list[Ranking]:
    y, counts = _column(records, target), bootstrap_counts(groups, resamples, seed=0)
    error = _column(records, "held_out_loss_error" if "loss" in target or target == "gap" else "held_out_error_error")
    axes: Axes = {name: [each[name] for each in records] for name in AXES}
    whole = np.vstack([np.ones((1, len(y))), counts])
    controls = {name: _column(records, name) for name in CONTROLS}
    of_controls = {name: kendall_tau(z, y, whole) for name, z in controls.items()}
    p_values = holm([permutation_p(_column(records, name), y, groups, resamples, seed=1) for name in MEASURES])
    found = []
    for name, p_value in zip(MEASURES, p_values, strict=True):
        x = _column(records, name)
        taus = kendall_tau(x, y, whole)
        partials = {
            control: partial_tau(taus, kendall_tau(x, z, whole), of_controls[control])
            for control, z in controls.items()
            if np.ptp(z) > 0
        }
        sign = 1.0 if taus[0] >= 0 else -1.0
        control = min(partials, key=lambda each: np.nan_to_num(sign * partials[each][0], nan=0.0))
        granulated, along = granulated_tau(x, y, axes)
        errors = conditional_sign_error(x, y, error, axes)
        worst = max(errors, key=lambda axis: errors[axis][0], default=None)
        low, high = _interval(taus[1:])
        partial_low, partial_high = _interval(partials[control][1:])
        found.append(
            Ranking(
                name,
                target,
                float(taus[0]),
                low,
                high,
                spearman(x, y),
                p_value,
                granulated,
                {axis: each.tau for axis, each in along.items()},
                None if worst is None else (worst, *errors[worst]),
                control,
                float(partials[control][0]),
                partial_low,
                partial_high,
                _verdict(float(taus[0]), (low, high), p_value, (partial_low, partial_high), granulated),
            )
        )
    return found


def _verdict(
    tau: float, interval: tuple[float, float], p_value: float, partial: tuple[float, float], granulated: float
) -> Verdict:
    """A rank correlation counts if interval and adjusted p-value agree; it is the measure's own if no control, with
    the others' help, takes it away: its partial interval and the granulated coefficient have the same sign.
    """
    sign = 1 if tau > 0 else -1
    if not (p_value < _LEVEL and min(sign * each for each in interval) > 0):
        return "not resolved here"
    if not (min(sign * each for each in partial) > 0 and sign * granulated > 0):
        return "explained by a control"
    return "orders" if sign > 0 else "orders the wrong way"


def _within(records: Sequence[Record], resamples: int) -> list[dict[str, Any]]:
    """``tau`` of ``lambda_1`` with gap and held-out error, all other hyper-parameters being free."""
    rows = []
    for axis in ("lr", "batch_size"):
        for value in sorted({each[axis] for each in records}):
            some = [each for each in records if each[axis] == value]
            groups = _groups(some)
            if len(groups) < 3:
                continue
            counts = bootstrap_counts(groups, resamples, seed=0)
            x = _column(some, "lambda_1")
            for target in ("gap", "held_out_error"):
                y = _column(some, target)
                low, high = _interval(kendall_tau(x, y, counts))
                tau = float(kendall_tau(x, y)[0])
                rows.append(
                    {"axis": axis, "value": value, "target": target, "models": len(some), "tau": tau}
                    | {"lower": low, "upper": high}
                )
    return rows


def _reductions(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For each other method and batch size, against ``sgd`` with the same learning rate and seed."""
    from ...ground.intervals import mean_interval

    base = {(each["batch_size"], each["lr"], each["seed"]): each for each in records if each["method"] == "sgd"}
    rows = []
    for method in sorted({each["method"] for each in records} - {"sgd"}):
        for size in sorted({each["batch_size"] for each in records}):
            pairs = [
                (each, base[key])
                for each in records
                if each["method"] == method
                and each["batch_size"] == size
                and (key := (size, each["lr"], each["seed"])) in base
            ]
            if len(pairs) < 2:
                continue
            row: dict[str, Any] = {"method": method, "batch_size": size, "pairs": len(pairs)}
            for name in ("lambda_1", "gap"):
                ratios = [math.log(a[name] / b[name]) for a, b in pairs if a[name] > 0 and b[name] > 0]
                if len(ratios) >= 2:
                    interval = mean_interval(ratios)
                    row[f"ln_{name}"], row[f"ln_{name}_half_width"] = interval.mean, interval.half_width
            rows.append(row)
    return rows
