"""Rows on the trained point: a gap below the largest eigenvalue, and gradients away from zero."""

import math
from typing import Any

import torch

from ...landscapes.runs.data_set import converted
from .subject import Subject
from .verdict import COROLLARY, FAILS, HOLDS, THEOREM_4_2, UNDECIDED, CheckedAssumption, Ground, Verdict

__all__ = ["gap_rows", "gradient_rows"]

_GAP = (
    "reviewers of Luo et al. 2024 (a non-zero spectral gap); T[v, v] = grad lambda needs a simple eigenvalue: "
    "docs/theory.md, section 8"
)
_FLOOR = "what is divided by must stay away from 0: docs/theory.md, sections 3 and 4 (near a critical point)"


def gap_rows(subject: Subject) -> list[CheckedAssumption]:
    """Whether lambda_1 is simple at the trained point, and what was recorded on the way there."""
    pairs, dim = subject.pairs, subject.dim
    examples = len(subject.training_part[1])
    first, residual = float(pairs.values[0]), float(pairs.residuals[0])
    numbers: dict[str, Any] = {"lambda_1": first, "residual_1": residual, "examples": examples}
    verdict: Verdict
    ground: Ground
    if dim == 1:
        verdict, ground, reason = HOLDS, "proof", "With one parameter the only eigenvalue {lambda_1} is simple."
    else:
        second, other = float(pairs.values[1]), float(pairs.residuals[1])
        # On the complement of the first vector A is ((theta_2, e^T), (e, B)) with B <= rest.upper, but for its delta,
        # and |e| the second residual: its largest eigenvalue is at most that of the 2 x 2 matrix, and lambda_2 is at
        # most that (interlacing), while lambda_1 is at least its Ritz value.
        rest = None if pairs.rest is None else float(pairs.rest.upper)
        upper = None if rest is None else (second + rest) / 2 + math.hypot((second - rest) / 2, other)
        gap = None if upper is None else first - upper
        numbers |= {
            "lambda_2": second,
            "residual_2": other,
            "rest_upper": rest,
            "rest_delta": None if pairs.rest is None else float(pairs.rest.delta),
            "rest_kind": None if pairs.rest is None else pairs.rest.kind,
            "gap_lower": gap,
            "relative_gap": (first - second) / abs(first) if first else None,
            "converged": pairs.converged,
            "products": pairs.products,
        }
        ground = "interval"
        found = (
            "lambda_1 = {lambda_1} +- {residual_1}, lambda_2 = {lambda_2} +- {residual_2} on {examples} examples after "
            "{products} products; relative gap {relative_gap}."
        )
        if gap is not None and gap > 0 and pairs.converged:
            verdict = HOLDS
            reason = (
                found
                + " lambda_1 is simple: all others are {gap_lower} below it, but for a probability of {rest_delta} "
                "({rest_kind})."
            )
        else:
            verdict = UNDECIDED
            reason = found + " The intervals overlap, or what lies beyond the two is not known well enough."
    here = CheckedAssumption(
        "lambda_1 is simple at the trained point", (COROLLARY,), verdict, ground, reason, numbers, _GAP
    )
    return [here, _recorded_gaps(subject)]


def _recorded_gaps(subject: Subject) -> CheckedAssumption:
    """What the training recorded says of the whole path, which is never all of it."""
    rows = [row for row in subject.run.curvature if "gap" in row and float(row["lambda_1"]) > 0]
    relative = [float(row["gap"]) / float(row["lambda_1"]) for row in rows]
    overlapping = sum(
        float(row["gap"]) <= float(row["lambda_1_residual"]) + float(row["lambda_2_residual"]) for row in rows
    )
    numbers = {"steps": len(rows), "smallest_relative_gap": min(relative, default=None), "overlapping": overlapping}
    reason = (
        "Of {steps} recorded steps the smallest relative gap is {smallest_relative_gap}; at {overlapping} the "
        "residuals overlap. Between them nothing is known."
        if rows
        else "Nothing was recorded: train with --record-every."
    )
    return CheckedAssumption(
        "lambda_1 stays simple along the training", (COROLLARY,), UNDECIDED, "sampled", reason, numbers, _GAP
    )


def gradient_rows(subject: Subject) -> list[CheckedAssumption]:
    """Whether gradients, whose norm SAM divides by, stay away from zero: everywhere, and at the trained point."""
    subject.progress("gradients of minibatches")
    settings, data = subject.settings, subject.data
    size = int(subject.run.settings.get("batch_size") or 64)
    size = min(size, len(data.train_targets))
    generator = torch.Generator().manual_seed(settings.seed + 2)
    order = torch.randperm(len(data.train_targets), generator=generator)
    count = min(len(order) // size, settings.minibatch_count(subject.dim))
    norms = []
    total = torch.zeros_like(subject.x)
    for k in range(count):
        rows = order[k * size : (k + 1) * size]
        inputs = converted(data.train_inputs[rows], subject.dtype).to(subject.device)
        landscape = subject.landscape_of(inputs, data.train_targets[rows].to(subject.device))
        gradient = landscape.gradient(subject.x)
        norms.append(float(gradient.norm()))
        total += gradient / count
    curvature = max(float(subject.pairs.values[0]), 0.0)
    scale = None if subject.rho is None else subject.rho * curvature
    smallest = min(norms)
    numbers = {
        "minibatches": count,
        "batch_size": size,
        "smallest": smallest,
        "median": sorted(norms)[len(norms) // 2],
        "mean_gradient": float(total.norm()),
        "lambda_1": curvature,
        "rho": subject.rho,
        "scale": scale,
        "ratio": None if not scale else smallest / scale,
        "below": None if scale is None else sum(norm < scale for norm in norms),
        "steps": None if subject.rho is None or not smallest else subject.rho / smallest,
    }
    everywhere = CheckedAssumption(
        "gradients bounded away from 0 for all parameters",
        (THEOREM_4_2, COROLLARY),
        FAILS,
        "proof",
        "A differentiable loss on R^d that is bounded below, as the cross-entropy is by 0, has points with gradients "
        "as small as one likes (at kinks: generalised ones). At x the mean gradient of the minibatches looked at has "
        "norm {mean_gradient}.",
        {"mean_gradient": numbers["mean_gradient"]},
        _FLOOR + "; Ekeland's variational principle (1974); at kinks Clarke (1983)",
    )
    found = "Of {minibatches} minibatches of {batch_size} at x the smallest |g| is {smallest}, the median {median}."
    verdict: Verdict = UNDECIDED
    if scale is None:
        reason = found + " The training had no radius rho to compare it with."
    elif not math.isfinite(smallest) or smallest < scale:
        verdict = FAILS
        reason = found + (
            " rho lambda_1 = {scale} is more, at {below} of them: the perturbation changes a gradient by more than its "
            "length, and an expansion in rho does not describe it. Needed is |g| well above that, or a smaller rho."
        )
    else:
        reason = found + " It is {ratio} times rho lambda_1 = {scale}; how much is enough, no theorem says."
    here = CheckedAssumption(
        "minibatch gradients above rho lambda_1 at the trained point",
        (THEOREM_4_2, COROLLARY),
        verdict,
        "sampled",
        reason,
        numbers,
        _FLOOR,
    )
    return [everywhere, here]
