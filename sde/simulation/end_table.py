"""Statistics at the last look as a table of text."""

from collections.abc import Mapping, Sequence

from .statistics.observed import CellStatistics, ObservedStatistics

__all__ = ["end_table"]

_QUANTILES = (0.05, 0.5, 0.95)  # ours


def end_table(
    statistics: CellStatistics, labels: Mapping[str, Sequence[str]], confidence: float
) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for each component of each observable; what was not kept is left empty.

    Args:
        statistics: of an ensemble.
        labels: of components, by observable.
        confidence: of the mean's interval.
    """
    every = [(each, labels[name]) for name, each in statistics.observed.items()]
    spread = any(each.moments.count > 1 for each, _ in every)
    quantiles = _QUANTILES if any(each.quantiles is not None for each, _ in every) else ()
    columns = ["", "mean", *([f"{100 * confidence:g} % interval", "standard deviation"] if spread else [])]
    rows = [
        [label, *_moments(each, i, confidence), *_quantiles(each, i, quantiles)]
        for each, names in every
        for i, label in enumerate(names)
    ]
    return [*columns, *(f"{100 * q:g} %" for q in quantiles)], rows


def _moments(observed: ObservedStatistics, i: int, confidence: float) -> list[str]:
    moments = observed.moments
    mean = f"{moments.mean[-1, i]:.5g}"
    if moments.count < 2:
        return [mean]
    interval = moments.mean_intervals(confidence)
    return [
        mean,
        f"[{interval.low[-1, i]:.5g}, {interval.high[-1, i]:.5g}]",
        f"{moments.variance[-1, i] ** 0.5:.4g}",
    ]


def _quantiles(observed: ObservedStatistics, i: int, quantiles: Sequence[float]) -> list[str]:
    if observed.quantiles is None:
        return ["" for _ in quantiles]
    return [f"{observed.quantiles.quantile(q)[-1, i]:.4g}" for q in quantiles]
