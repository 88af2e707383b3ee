"""What the decay of a frozen eigenvector says: curves over seeds, claims and tables, from a result alone."""

import math
from collections.abc import Sequence
from typing import Any

from ..ground.intervals import Interval
from .item import Claim, Table
from .paired_seeds import paired
from .seed_mean import seed_mean, seeds_in_words, with_spread
from .verdict import NOT_RESOLVED, REPRODUCED, Verdict, above, below

__all__ = [
    "ESTIMATES",
    "decay_caption",
    "decay_claims",
    "decay_notes",
    "decay_tables",
    "looks_of",
    "mean_at",
    "parameters_of",
    "values_at",
]

ESTIMATES = {"own": "estimate of Eigen-SAM", "exact": "exact eigenvector"}
"""What is frozen."""

SLOW = 0.2
"""Ours: an alignment that falls by less until the next estimate decays slowly."""

SLIGHTLY = 0.1
"""Ours: a network whose alignment falls by less more than another's decays only slightly faster."""

POOR = 0.5
"""Ours, as for Figure 1: an alignment below is called poor."""

Runs = Sequence[dict[str, Any]]
"""What :func:`decay_along` returns, a list over seeds."""


def looks_of(runs: Runs) -> list[int]:
    """Steps after the freezing at which was looked."""
    return [row["after"] for row in runs[0]["frozen"][0]["rows"]]


def parameters_of(runs: Runs) -> int:
    """Of the network."""
    return int(runs[0]["parameters"])


def values_at(runs: Runs, estimate: str, kind: str, look: int, moment: int | None = None) -> list[float]:
    """One number for each seed: the mean over its moments; NaN where one of them is not known.

    Args:
        runs: over seeds.
        estimate: a key of :data:`ESTIMATES`.
        kind: ``alignment``, ``plane`` or ``ratio``.
        look: its place.
        moment: place of a single moment; None is all.
    """
    found = []
    for run in runs:
        frozen = run["frozen"] if moment is None else run["frozen"][moment : moment + 1]
        values = [each["rows"][look][estimate][kind] for each in frozen]
        found.append(math.nan if None in values else math.fsum(values) / len(values))
    return found


def mean_at(runs: Runs, estimate: str, kind: str, look: int, moment: int | None = None) -> Interval:
    """The mean over seeds, of those that are known."""
    return _mean(values_at(runs, estimate, kind, look, moment))


def _mean(values: Sequence[float]) -> Interval:
    known = [value for value in values if not math.isnan(value)]
    return seed_mean(known) if known else Interval(math.nan, math.nan)


def _lost(runs: Runs, estimate: str, kind: str) -> list[float]:
    """From the first look to the last one, seed by seed."""
    first, last = (values_at(runs, estimate, kind, look) for look in (0, -1))
    return [a - b for a, b in zip(first, last, strict=True)]


def decay_claims(result: dict[str, Any]) -> list[Claim]:
    """For each network what is lost, and what is left; for the largest one against the smallest the difference."""
    networks, found = result["networks"], []
    for network, runs in networks.items():
        steps = looks_of(runs)[-1]
        for estimate, words in ESTIMATES.items():
            lost = _mean(_lost(runs, estimate, "alignment"))
            first, last = (mean_at(runs, estimate, "alignment", look) for look in (0, -1))
            found.append(
                Claim(
                    f"{network}: the {words} decays slowly over {steps} steps",
                    f"decays slowly; we call a loss below {SLOW:g} slow",
                    f"|<v, v_1>| {with_spread(first, 2)} falls to {with_spread(last, 2)}: loss {with_spread(lost, 2)} "
                    f"({seeds_in_words(runs)})",
                    _loss_verdict(lost, SLOW, "loss", [first]),
                )
            )
        left = mean_at(runs, "own", "alignment", -1)
        found.append(
            Claim(
                f"{network}: before it is renewed Eigen-SAM's estimate is still aligned",
                f"the estimate is good for k = 100 steps; below {POOR:g} we call it poor",
                f"|<v, v_1>| = {with_spread(left, 2)} after {steps} steps; a random vector has "
                f"{1 / parameters_of(runs) ** 0.5:.3f} ({seeds_in_words(runs)})",
                above(left, POOR, "|<v, v_1>|", 2),
            )
        )
    if len(networks) > 1:
        by_size = sorted(networks, key=lambda name: parameters_of(networks[name]))
        found += [_larger(networks, by_size[0], by_size[-1], each) for each in ESTIMATES]
    return found


def _larger(networks: dict[str, Runs], small: str, large: str, estimate: str) -> Claim:
    losses = [_lost(networks[name], estimate, "alignment") for name in (large, small)]
    pairs = [(a, b) for a, b in zip(*losses, strict=True) if not math.isnan(a + b)]
    more = paired(*zip(*pairs, strict=True)) if pairs else Interval(math.nan, math.nan)
    sizes = [f"{name} ({parameters_of(networks[name]):,} parameters)" for name in (large, small)]
    return Claim(
        f"The {ESTIMATES[estimate]} decays only slightly faster in {sizes[0]} than in {sizes[1]}",
        f"slightly faster for larger models; we call a loss that is larger by less than {SLIGHTLY:g} slightly larger",
        f"loss larger by {with_spread(more, 2)} ({seeds_in_words(networks[large], 'paired ')})",
        _loss_verdict(
            more,
            SLIGHTLY,
            "additional loss",
            [mean_at(networks[name], estimate, "alignment", 0) for name in (large, small)],
        ),
    )


def _loss_verdict(lost: Interval, limit: float, what: str, at_first: Sequence[Interval]) -> Verdict:
    """Below the limit or above; but little is lost, too, of an estimate that is poor from the start."""
    found = below(lost, limit, what, 2)
    poor = min(each.mean for each in at_first)
    if found.word == REPRODUCED and not poor >= POOR:
        return Verdict(
            NOT_RESOLVED, f"{found.decided_by}, but the alignment is {poor:.2f} at first, poor, and has little to lose"
        )
    return found


def decay_caption(result: dict[str, Any]) -> str:
    """What is drawn."""
    runs = next(iter(result["networks"].values()))
    spread = "with 95 % bands" if len(runs) > 1 else "(one seed: no bands)"
    moments = ", ".join(str(each["step"]) for each in runs[0]["frozen"])
    examples = f"{result['examples']} examples of the training set" if result["examples"] else "the training set"
    sentences = [
        f"{network}: Eigen-SAM's estimate {with_spread(mean_at(each, 'own', 'alignment', 0), 2)} at first and "
        f"{with_spread(mean_at(each, 'own', 'alignment', -1), 2)} after {looks_of(each)[-1]} steps, the exact one "
        f"{with_spread(mean_at(each, 'exact', 'alignment', -1), 2)}."
        for network, each in result["networks"].items()
    ]
    return (
        f"An eigenvector is frozen while Eigen-SAM trains on, {result['data']}: |<v, v_1>| with the top eigenvector of "
        f"the loss of {examples} at the present parameters, and v'Hv/lambda_1. Eigen-SAM's own "
        f"estimate comes from {result['used']} products with a minibatch's Hessian; the exact one is the top "
        f"eigenvector where it was frozen. Means over freezing at steps {moments} and {len(runs)} seeds {spread}; "
        f"dotted: a random unit vector. Alignment, {' '.join(sentences)}"
    )


def decay_tables(result: dict[str, Any]) -> list[Table]:
    """A table for each network."""
    tables = []
    for network, runs in result["networks"].items():
        steps = looks_of(runs)[-1]
        header = ["frozen", "vector", "alignment\nat first", f"after\n{steps} steps"]
        header += ["in the plane\nof v₁ and v₂", "v'Hv/λ₁\nat first", f"v'Hv/λ₁, after\n{steps} steps"]
        rows = []
        for moment, frozen in enumerate(runs[0]["frozen"]):
            for estimate, words in ESTIMATES.items():
                cells = (("alignment", 0), ("alignment", -1), ("plane", -1), ("ratio", 0), ("ratio", -1))
                values = [with_spread(mean_at(runs, estimate, kind, look, moment), 2) for kind, look in cells]
                rows.append([f"at step {frozen['step']}", words, *values])
        note = (
            f"{network}, {parameters_of(runs):,} parameters, {seeds_in_words(runs)}. In the plane: length of the "
            f"frozen vector's part in the span of the two top eigenvectors after {steps} steps."
        )
        tables.append(Table(header, rows, right=range(2, len(header)), note=note))
    return tables


def decay_notes(result: dict[str, Any]) -> list[str]:
    """What a falling alignment means, the gaps, and what was refused."""
    rows = [
        row
        for runs in result["networks"].values()
        for run in runs
        for frozen in run["frozen"]
        for row in frozen["rows"]
    ]
    gaps = sorted(row["gap"] for row in rows if row["gap"] is not None)
    refused = sum(not row["resolved"] for row in rows)
    sentences = []
    for network, runs in result["networks"].items():
        aligned, plane, ratio = (_mean(_lost(runs, "exact", kind)).mean for kind in ("alignment", "plane", "ratio"))
        sentences.append(f"{network}: {aligned:.2f}, {plane:.2f} and {ratio:.2f}")
    middle = gaps[len(gaps) // 2] if gaps else math.nan
    return [
        "Alignment and curvature are two questions. Where lambda_2 is near lambda_1 the two eigenvectors mix, or swap "
        "places, within few steps: then the alignment falls while the frozen vector stays in their plane and keeps its "
        f"curvature. What the exact vector has lost of its alignment, of its part in the plane, and of v'Hv/lambda_1: "
        f"{'; '.join(sentences)}. The relative gap (lambda_1 - lambda_2)/lambda_1 is {middle:.2f} in the median.",
        f"v_1 counts as known where the bound of Davis and Kahan on its angle to the true one is below 0.02 (ours); "
        f"{refused} of {len(rows)} looks failed that, and have no alignment.",
        f"Eigen-SAM renews its estimate every {result['every']} steps; the frozen one is a copy.",
    ]
