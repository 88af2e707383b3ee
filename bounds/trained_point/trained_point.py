"""From a trained checkpoint to Theorem 4.1, with what the loss really does beside it."""

import math
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...ground.errors import InputError
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from ..eigenvalue.best_posterior import best_posterior, pinsker
from ..eigenvalue.bound import Bound, Curvature
from ..eigenvalue.form import Form, available_forms
from ..eigenvalue.inputs import check_examples, check_inputs
from ..eigenvalue.repairs import Repairs, repairs
from ..eigenvalue.theorem41 import eigenvalue_bound, theorem_forms
from ..peers.derandomised import derandomised_bound
from .directional import estimate_operator_norm
from .explanation import (
    best_divergence,
    explain,
    explain_certificate,
    explain_refuted,
    explain_worst,
    ratios,
    uniform_loss,
)
from .measured_bound import MeasuredBound
from .point_assumptions import point_assumptions
from .point_curvature import PointCurvature, measure_curvature, unit_rows
from .point_risk import certify_point, look_around, measure_risk, measure_test_set
from .posterior_risk import LossAround
from .sampled_point import SampledPoint, open_point
from .trained_point_settings import TrainedPointSettings
from .worst_and_others import bounds_of_others, smoothness_of_point, worst_cases

__all__ = ["bound_checkpoint"]

Progress = Callable[[str], None]

_OVER_SIGMA = 31  # ours: points of the picture


def bound_checkpoint(
    run: Run | Path | str,
    data: DataSet | None,
    settings: TrainedPointSettings,
    *,
    device: torch.device | str = "cpu",
    progress: Progress = lambda what: None,
) -> MeasuredBound:
    """Theorem 4.1 for a run, on its own training set, in every form, beside what the loss really does.

    After label noise its examples have the data set's own labels again: the theorem holds for any point, whatever led
    to it, of examples that are independent draws. Exactly so many wrong labels are not, and the risk would be one with
    noise, to which test losses cannot be compared. The loss is :class:`BoundedCrossEntropy`, without label smoothing.

    Args:
        run: or its directory, made by ``eigensam train``.
        data: the data set the run was trained on; None loads it, which works for data that are built in.
        settings: delta, prior, posterior and effort.
        device: where to compute.
        progress: called with what is being computed.

    Raises:
        InputError: not a run directory, damaged or foreign tensors, an argument out of range, other data, a loss or
            derivative at the trained point that is not finite.
    """
    settings.check()  # before minutes of work
    run = run if isinstance(run, Run) else Run(run)
    data = run.data() if data is None else data
    data = run.clean(data)
    check_examples(len(data.train_targets))
    if settings.along and not run.snapshots:
        raise InputError(
            f"{run.directory} has kept no epochs to bound along the training; train with --snapshot-every, or leave "
            "out --along"
        )
    if settings.along:
        for epoch in _epochs(run):
            run.at_epoch(epoch).network()  # a damaged one is refused now
    progress("empirical loss")
    point = open_point(run, data, settings, device)
    smooth, why = smoothness_of_point(point, data)
    curvature = measure_curvature(point, progress)
    known = curvature.curvature()
    progress("forms of the theorem")
    bound = eigenvalue_bound(
        point.empirical,
        known,
        sigma=settings.sigma,
        assumptions=[
            *point_assumptions(
                run, point.model, data, centre=settings.prior, fixed=point.fixed, checked=curvature.checked
            ),
            *([] if point.of_few is point.landscape else [_few_examples(settings.derivative_examples)]),
        ],
        **point.arguments,
    )
    forms = theorem_forms(point.empirical, known, sigma=settings.sigma, **point.arguments)
    sigma = bound.details["sigma"]
    around = look_around(point, sigma, max(each.details["sigma"] for each in forms.values()), progress)
    risks = measure_risk(point, sigma, "posterior", progress)
    certified, certified_risk = certify_point(point, around, progress)
    progress("fourth derivative around the point")
    k4_around = _fourth_derivative_around(point, curvature, sigma)
    worst = worst_cases(point, curvature, sigma, progress)
    others = bounds_of_others(point, worst[0])
    for_the_point = [] if smooth is None else [derandomised_bound(each, smooth) for each in (bound, certified)]
    progress("test set")
    test = measure_test_set(point, data, sigma)
    needed, refuted = _repairs(point, known, bound), _refuted(list(forms.values()), around)
    uniform = uniform_loss(settings.p_min, int(data.classes))
    details = {
        **bound.details,
        "lambda_1_ritz": float(curvature.pairs.values[0]),
        "lambda_1_residual": float(curvature.pairs.residuals[0]),
        "lambda_1_converged": float(curvature.pairs.converged),
        "k4_estimate": curvature.fourth_derivative,
        "k4_around_x": k4_around,
        "test_loss_at_x": test.loss,
        "test_loss_around_x": test.loss_around,
    }
    measured = {
        "curvature": curvature.to_dict(),
        "loss_around": around.to_dict(),
        "f_S_of_Q": [each.to_dict() for each in risks],
        "f_S_of_Q_certified": certified_risk.to_dict(),
        "increase": around.at(sigma),
        "increase_error": around.error_at(sigma),
        "resolution": around.resolution,
        "refuted": refuted,
        "f_S_of_Q_estimate": point.empirical + around.at(sigma),
        "kl_of_best_variance": best_divergence(bound),
        "sigma_given": settings.sigma is not None,
        "worst_cases": [each.to_dict() for each in worst],
        "taylor_sum": sum(term.value for term in bound.terms[:3]),
        "ratios": ratios(bound, point.empirical, around.at(sigma)),
        "test_set": asdict(test),
        "uniform_loss": uniform,
        "repairs": None if needed is None else needed.to_dict(),
    }
    kept = {each.name: getattr(bound, each.name) for each in fields(Bound)} | {"details": details}
    return MeasuredBound(
        **kept,
        forms=[*forms.values(), certified],
        others=others,
        for_the_point=for_the_point,
        measured=measured,
        over_sigma=_over_sigma(point, known, bound, around),
        along=_along(run, data, settings, device, progress) if settings.along else [],
        words=[
            *explain(bound, risks[0], around, needed, test, uniform),
            *explain_refuted(refuted),
            explain_certificate(certified, uniform),
            *explain_worst(worst),
            why,
        ],
    )


def _few_examples(count: int) -> str:
    return f"Third and fourth derivatives are those of {count} random examples, not of all: one more estimate."


def _along(
    run: Run, data: DataSet, settings: TrainedPointSettings, device: torch.device | str, progress: Progress
) -> list[dict[str, Any]]:
    """The bound at the initialisation and after every epoch that was kept, each with its own curvature and sigma."""
    rows, epochs = [], _epochs(run)
    for epoch in epochs:
        progress(f"epoch {epoch} of {epochs[-1]}")
        point = open_point(run.at_epoch(epoch), data, replace(settings, top=1, random_directions=0), device)
        known = measure_curvature(point).curvature()
        found = eigenvalue_bound(point.empirical, known, sigma=settings.sigma, **point.arguments)
        rows.append(
            {
                "epoch": epoch,
                "form": found.form,
                "sigma": found.details["sigma"],
                "lambda_1": found.details["lambda_1"],
                "distance": math.sqrt(point.squared_distance),
                **{term.name: term.value for term in found.terms},
                "sum": found.bound,
                "kl inverse": found.bound_kl,
            }
        )
    return rows


def _epochs(run: Run) -> list[int]:
    """The initialisation, what was kept on the way, and the trained network."""
    return sorted({0, *run.snapshots, run.checkpoint.kept_epoch})


def _form(known: Curvature, bound: Bound) -> Form:
    return next(each for each in available_forms(known) if str(each) == bound.form)


def _repairs(point: SampledPoint, known: Curvature, bound: Bound) -> Repairs | None:
    """Of a bound that is vacuous at its best sigma, whatever sigma was asked for."""
    arguments = point.arguments
    given = check_inputs(
        point.empirical,
        known,
        arguments["dim"],
        arguments["squared_distance"],
        arguments["examples"],
        arguments["delta"],
        1.0,
        None,
    )
    (problem,) = given.problems([_form(known, bound)])
    return repairs(problem) if best_posterior(problem, pinsker)[0] > 1 else None


def _refuted(forms: list[Bound], around: LossAround) -> list[dict[str, Any]]:
    """Forms that allow less of a rise than was measured at their sigma: what their constants are taken from misled.

    Constants that are sampled at ``x`` may be too small for where ``Q`` puts mass, and ``M_4`` is no bound at all.
    """
    rows = []
    for each in forms:
        sigma = each.details["sigma"]
        if "kappa" in each.details or not around.sigmas[0] <= sigma <= around.sigmas[-1]:
            continue
        allowed, rise, error = sum(term.value for term in each.terms[1:3]), around.at(sigma), around.error_at(sigma)
        if rise - 3 * (error or 0.0) > allowed:
            rows.append({"form": each.form, "sigma": sigma, "allowed": allowed, "measured": rise, "sum": each.bound})
    return rows


def _fourth_derivative_around(point: SampledPoint, curvature: PointCurvature, sigma: float) -> float:
    """At one draw of ``Q``, along the top eigenvector of ``x``: the constant has to hold there, too."""
    generator = point.generator("around")
    e = torch.randn(point.landscape.dim, generator=generator, dtype=torch.float64).to(point.x)
    top = unit_rows(curvature.pairs.vectors[:1])
    return estimate_operator_norm(point.of_few, point.x + sigma * e, top, order=4)[0]


def _over_sigma(point: SampledPoint, known: Curvature, bound: Bound, around: LossAround) -> list[dict[str, Any]]:
    """The terms of the bound's form at other sigma."""
    rows, form = [], _form(known, bound)
    for sigma in map(float, np.geomspace(around.sigmas[0], around.sigmas[-1], _OVER_SIGMA)):
        found = eigenvalue_bound(point.empirical, known, sigma=sigma, form=form, **point.arguments)
        rows.append({"sigma": sigma, **{term.name: term.value for term in found.terms}, "sum": found.bound})
    return rows
