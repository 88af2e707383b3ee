"""What the convergence of the power method says: curves over seeds, claims, tables and a guideline, from a result."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..ground.intervals import Interval
from .item import Claim, Table
from .paired_seeds import paired
from .seed_mean import seed_mean, seeds_in_words, with_spread
from .verdict import above

__all__ = [
    "ENOUGH",
    "HESSIANS",
    "Curve",
    "convergence_caption",
    "convergence_claims",
    "convergence_notes",
    "convergence_tables",
    "curves_of",
]

ENOUGH = 0.9
"""Ours: an estimate is good enough where its Rayleigh quotient, over ``lambda_1``, or its alignment is above."""

HESSIANS = {"minibatch": "a minibatch's", "whole": "the training loss's"}
"""Whose Hessians."""

_SOLVERS = {"power": "power method", "lanczos": "Lanczos"}

Runs = Sequence[Sequence[dict[str, Any]]]
"""Rows of :func:`convergence_along`, a list over seeds."""


@dataclass(frozen=True)
class Curve:
    """Estimates of one kind over all seeds.

    Attributes:
        point: moment of the training.
        hessian: a key of :data:`HESSIANS`.
        start: ``cold`` or ``warm``.
        solver: ``power`` or ``lanczos``.
        rows: of the seeds.
    """

    point: str
    hessian: str
    start: str
    solver: str
    rows: Sequence[dict[str, Any]]

    @property
    def words(self) -> str:
        """Solver and start."""
        return f"{_SOLVERS[self.solver]}, {self.start} start"

    def values(self, kind: str, p: int) -> list[float]:
        """``alignment`` or ``ratio`` after ``p`` products, seed by seed; NaN where it was refused."""
        found = [row["curves"][self.start][self.solver][kind][p] for row in self.rows]
        return [math.nan if value is None else value for value in found]

    def mean(self, kind: str, p: int) -> Interval:
        """Over the seeds that have one; NaN where none has."""
        known = [value for value in self.values(kind, p) if not math.isnan(value)]
        return seed_mean(known) if known else Interval(math.nan, math.nan)

    @property
    def products(self) -> int:
        """Most products."""
        return len(self.rows[0]["curves"][self.start][self.solver]["ratio"]) - 1

    def needed(self, kind: str) -> int | None:
        """Fewest products, at least one, after which the mean is above :data:`ENOUGH`; None if so many were not."""
        return next((p for p in range(1, self.products + 1) if self.mean(kind, p).mean > ENOUGH), None)


def curves_of(runs: Runs) -> Iterator[Curve]:
    """All curves of a network: those of all seeds together."""
    for place, first in enumerate(runs[0]):
        rows = [run[place] for run in runs]
        for start in first["curves"]:
            for solver in first["curves"][start]:
                yield Curve(first["point"], first["hessian"], start, solver, rows)


def _find(runs: Runs, point: str, hessian: str, start: str, solver: str) -> Curve | None:
    wanted = (point, hessian, start, solver)
    return next((c for c in curves_of(runs) if (c.point, c.hessian, c.start, c.solver) == wanted), None)


def _last(runs: Runs) -> str:
    return str(runs[0][-1]["point"])


def convergence_claims(result: dict[str, Any]) -> list[Claim]:
    """For each network: whether Eigen-SAM's products are enough; Lanczos, and the warm start, against the others."""
    p, found = result["used"], []
    for network, runs in result["networks"].items():
        last, first = _last(runs), str(runs[0][0]["point"])
        enough = (
            (_find(runs, last, "minibatch", "warm", "power"), "ratio"),
            (_find(runs, last, "minibatch", "warm", "power"), "alignment"),
            (_find(runs, first, "minibatch", "cold", "power"), "ratio"),
            (_find(runs, first, "minibatch", "cold", "power"), "alignment"),
        )
        for curve, kind in enough:
            if curve is not None:
                found.append(_enough(network, curve, kind, p))
        lanczos, warm, cold = (
            _find(runs, last, "minibatch", start, solver)
            for start, solver in (("warm", "lanczos"), ("warm", "power"), ("cold", "power"))
        )
        if lanczos is not None and warm is not None and cold is not None:
            what = "not stated; our default"
            found.append(_better(f"{network}: Lanczos does better than the power method", what, lanczos, warm, p))
            what = "Eigen-SAM begins with its last estimate"
            found.append(_better(f"{network}: a warm start does better than a random one", what, warm, cold, p))
    return found


_KINDS = {"ratio": "v'Hv/lambda_1", "alignment": "|<v, v_1>|"}


def _enough(network: str, curve: Curve, kind: str, p: int) -> Claim:
    value = curve.mean(kind, p)
    return Claim(
        f"{network}, {curve.point}: {p} products are enough, by {_KINDS[kind]} ({curve.words})",
        f"efficient convergence, p needs minimal adjustment (released code: 5); we call it enough above {ENOUGH:g}",
        f"{_KINDS[kind]} = {with_spread(value, 3)} ({seeds_in_words(curve.rows)})",
        above(value, ENOUGH, _KINDS[kind]),
    )


def _better(words: str, paper: str, one: Curve, other: Curve, p: int) -> Claim:
    pairs = [
        (a, b)
        for a, b in zip(one.values("alignment", p), other.values("alignment", p), strict=True)
        if not math.isnan(a + b)
    ]
    difference = paired(*zip(*pairs, strict=True)) if pairs else Interval(math.nan, math.nan)
    return Claim(
        f"{words}, {one.point}",
        paper,
        f"|<v, v_1>| after {p} products: {with_spread(one.mean('alignment', p), 3)} against "
        f"{with_spread(other.mean('alignment', p), 3)}, difference {with_spread(difference, 3)} "
        f"({seeds_in_words(one.rows)})",
        above(difference, 0.0, "paired difference"),
    )


def convergence_caption(result: dict[str, Any]) -> str:
    """What is drawn, and what is found after Eigen-SAM's own number of products."""
    p, sentences = result["used"], []
    for network, runs in result["networks"].items():
        curve = _find(runs, _last(runs), "minibatch", "warm", "power") or next(curves_of(runs))
        sentences.append(
            f"{network} on {result['data']}: after {p} products with a minibatch's Hessian ({curve.words}) "
            f"v'Hv/lambda_1 = {with_spread(curve.mean('ratio', p), 2)} and |<v, v_1>| = "
            f"{with_spread(curve.mean('alignment', p), 2)}."
        )
    runs = next(iter(result["networks"].values()))
    spread = "with 95 % bands" if len(runs) > 1 else "of one seed (no bands)"
    examples = f"{result['examples']} examples of the training set" if result["examples"] else "the training set"
    return (
        f"Estimates of the top eigenvector after p products with the Hessian, for networks trained by Eigen-SAM: means "
        f"over {len(runs)} seeds {spread}. Of the Hessian of a minibatch of {result['batch_size']}, as in Eigen-SAM, "
        f"and of the loss of {examples}. Warm: from Eigen-SAM's own estimate, made {result['every']} steps earlier; "
        f"cold: from a random vector. Dotted: {ENOUGH:g}, which we call enough, and Eigen-SAM's p = {p}. "
        + " ".join(sentences)
    )


def convergence_tables(result: dict[str, Any]) -> list[Table]:
    """A table for each network: values after Eigen-SAM's products, and the products that are needed."""
    p, tables = result["used"], []
    header = ["moment", "Hessian of", "estimate", f"alignment,\np = {p}", f"v'Hv/λ₁,\np = {p}"]
    header += ["p for\nalignment", "p for\nv'Hv/λ₁", "rate of the\npower method"]
    for network, runs in result["networks"].items():
        rows = [
            [
                curve.point,
                HESSIANS[curve.hessian],
                curve.words,
                with_spread(curve.mean("alignment", p), 3),
                with_spread(curve.mean("ratio", p), 3),
                *(_or_more(curve.needed(kind), curve.products) for kind in ("alignment", "ratio")),
                with_spread(_rate(curve), 2),
            ]
            for curve in curves_of(runs)
        ]
        note = (
            f"{network}, {seeds_in_words(runs)}. p for: fewest products after which the mean is above {ENOUGH:g} "
            "(ours). Rate: second largest eigenvalue in magnitude over the largest, by which the error shrinks in the "
            "long run."
        )
        tables.append(Table(header, rows, right=range(3, len(header)), note=note))
    return tables


def _rate(curve: Curve) -> Interval:
    rates = []
    for row in curve.rows:
        second, first = sorted(abs(row[name]) for name in ("lambda_1", "lambda_2", "lambda_min"))[1:]
        rates.append(second / first)
    return seed_mean(rates)


def _or_more(needed: int | None, products: int) -> str:
    return f"> {products}" if needed is None else str(needed)


def convergence_notes(result: dict[str, Any]) -> list[str]:
    """The guideline, refused eigenvectors, and saddles."""
    curves = [curve for runs in result["networks"].values() for curve in curves_of(runs)]
    parts = []
    for solver, words in _SOLVERS.items():
        mine = [c for c in curves if c.solver == solver and c.hessian == "minibatch"]
        most = [_most([c.needed(kind) for c in mine], mine[0].products) for kind in ("ratio", "alignment")]
        parts.append(f"{words} p {most[0]} for v'Hv and p {most[1]} for the direction")
    rows = [row for runs in result["networks"].values() for run in runs for row in run]
    refused = sum(not row["resolved"] for row in rows)
    saddles = sum(-row["lambda_min"] > row["lambda_1"] for row in rows)
    return [
        f"Guideline, as one was asked for: on minibatches, at all moments and from both starts, the mean is above "
        f"{ENOUGH:g} with the {', with '.join(parts)}. The value settles before the direction: where lambda_2 is near "
        "lambda_1 any vector of their plane has nearly the top curvature, and which of them it is hardly matters to "
        "the perturbation. Spend more products, or take Lanczos, where the direction itself matters.",
        f"The truth is Lanczos run to convergence. v_1 counts as known where the bound of Davis and Kahan on the "
        f"angle is below 0.02 (ours); of {len(rows)} Hessians {refused} failed that and have no alignment. In "
        f"{saddles} the most negative eigenvalue was the dominant one, which the power method then finds.",
        "Lanczos's estimate after p products is the best one in the span of v, Hv, ..., H^(p-1) v, the start for "
        "p = 1. The power method's is H^p v, whose Rayleigh quotient takes one product more.",
    ]


def _most(needed: Sequence[int | None], products: int) -> str:
    known = [each for each in needed if each is not None]
    return f"> {products}" if len(known) < len(needed) else f"= {max(known)}"
