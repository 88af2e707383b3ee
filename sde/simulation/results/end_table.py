"""Statistics at the last look as a table of text."""

from collections.abc import Collection, Mapping, Sequence

from ..statistics.moments import Moments
from ..statistics.observed import CellStatistics, ObservedStatistics
from .mean_intervals import mean_intervals

__all__ = ["end_table"]

_QUANTILES = (0.05, 0.5, 0.95)  # ours


def end_table(
    statistics: CellStatistics, labels: Mapping[str, Sequence[str]], events: Collection[str], confidence: float
) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for each component of each observable; what was not kept is left empty.

    Args:
        statistics: of an ensemble.
        labels: of components, by observable.
        events: observables whose values are truth values.
        confidence: of the mean's interval.
    """
    every = statistics.observed
    spread = any(each.moments.count > 1 for each in every.values())
    quantiles = _QUANTILES if any(each.quantiles is not None for each in every.values()) else ()
    columns = ["", "mean", *([f"{100 * confidence:g} % interval", "standard deviation"] if spread else [])]
    rows = [
        [label, *_moments(each.moments, i, confidence, name in events), *_quantiles(each, i, quantiles)]
        for name, each in every.items()
        for i, label in enumerate(labels[name])
    ]
    return [*columns, *(f"{100 * q:g} %" for q in quantiles)], rows


def _moments(moments: Moments, i: int, confidence: float, events: bool) -> list[str]:
    mean = f"{moments.mean[-1, i]:.5g}"
    if moments.count < 2:
        return [mean]
    interval = mean_intervals(moments, confidence, events=events)
    return [
        mean,
        f"[{interval.low[-1, i]:.5g}, {interval.high[-1, i]:.5g}]",
        f"{moments.variance[-1, i] ** 0.5:.4g}",
    ]


def _quantiles(observed: ObservedStatistics, i: int, quantiles: Sequence[float]) -> list[str]:
    if observed.quantiles is None:
        return ["" for _ in quantiles]
    return [f"{observed.quantiles.quantile(q)[-1, i]:.4g}" for q in quantiles]
