"""``eigensam weak-order``: flags and help; what the work needs is loaded when there is work."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...ground.console import (
    DataRoot,
    JsonFile,
    PlotFile,
    check_count,
    parse_number,
    progress_bar,
    read_file_path,
    read_path,
)
from ...ground.options import Only, only
from ...ground.outputs import Outputs
from ..arguments import (
    DerivedOrder,
    DriftOrder,
    RhoExponent,
    RuleName,
    SymbolValue,
    read_exponent,
    read_sde,
    read_values,
)
from ..recursion_arguments import (
    TRAINED_OPTIONS,
    Distinct,
    EpochLaw,
    Epochs,
    EpochSteps,
    InnerSteps,
    ScheduleFormula,
    Trained,
    read_rule,
)
from .plans import MomentsPlan, MonteCarloPlan, OneStepPlan, Precision, TorusPlan

if TYPE_CHECKING:
    from .verdict import WeakOrder

__all__ = ["WEAK_ORDER_OPTIONS", "weak_order"]


class MethodName(StrEnum):
    """How the order is measured."""

    TORUS = "torus"
    ONE_STEP = "one-step"
    MOMENTS = "moments"
    MONTE_CARLO = "monte-carlo"


class PrecisionName(StrEnum):
    """Of the numbers in one step."""

    AUTO = "auto"
    MULTI = "multi"
    FLOAT64 = "float64"


_PRECISIONS: dict[PrecisionName, Precision | None] = {
    PrecisionName.AUTO: None,
    PrecisionName.MULTI: "multi",
    PrecisionName.FLOAT64: "float64",
}

_SDE, _LANDSCAPE, _METHOD = "The SDE", "The landscape", "The measurement"  # panels of the help

_SAMPLED = only("method", MethodName.MONTE_CARLO)
_RUN = Only("a --landscape that is a run directory", lambda given: _is_run(given["landscape"]))
WEAK_ORDER_OPTIONS: dict[str, Only] = {
    **{name: when for name, when in TRAINED_OPTIONS.items() if name != "batches"},  # the landscape has their number
    "dim": Only("the default landscapes, without --landscape", lambda given: given["landscape"] is None),
    "horizon": only("method", MethodName.TORUS, MethodName.MOMENTS, MethodName.MONTE_CARLO),
    "resolution": only("method", MethodName.TORUS),
    "precision": only("method", MethodName.ONE_STEP),
    "paths": _SAMPLED,
    "most_paths": Only(f"{_SAMPLED.when} without --paths", lambda given: _SAMPLED.holds(given) and not given["paths"]),
    "seed": _SAMPLED,
    "jobs": _SAMPLED,
    "state": _SAMPLED,
    "batches": _RUN,
    "batch_size": _RUN,
    "data_root": _RUN,
}


def weak_order(
    rule: RuleName,
    weak_order: DerivedOrder = None,
    drift_order: DriftOrder = None,
    rho_exponent: RhoExponent = "1/3",
    rho_scale: Annotated[
        float,
        typer.Option(
            help="The constant c in rho = c eta^beta (ours: 0.8 shows the powers of rho apart).", rich_help_panel=_SDE
        ),
    ] = 0.8,
    value: SymbolValue = None,
    epochs: Epochs = None,
    epoch_steps: EpochSteps = None,
    schedule: ScheduleFormula = None,
    distinct: Distinct = None,
    inner_steps: InnerSteps = None,
    method: Annotated[
        MethodName,
        typer.Option(
            help="How the order is measured. torus: the global error, without sampling, in up to 3 dimensions. "
            "one-step: the local error, without sampling, in any. moments: quadratics of hundreds of dimensions. "
            "monte-carlo: any landscape, with intervals.",
            rich_help_panel=_METHOD,
        ),
    ] = MethodName.TORUS,
    landscape: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=read_path,
            help="JSON file with a torus, quadratic or formula, or a run directory of 'eigensam train'.",
            rich_help_panel=_LANDSCAPE,
        ),
    ] = None,
    dim: Annotated[
        int,
        typer.Option(
            help="Dimension of the default landscape: 1 to 3 on the torus, any for moments.", rich_help_panel=_LANDSCAPE
        ),
    ] = 2,
    etas: Annotated[
        str,
        typer.Option(
            help="Decreasing step sizes, such as 1/8,1/16,1/32; by default those of the method.",
            rich_help_panel=_METHOD,
        ),
    ] = "",
    horizon: Annotated[
        str, typer.Option(help="Final time T, which every step size must divide.", rich_help_panel=_METHOD)
    ] = "1",
    resolution: Annotated[
        int,
        typer.Option(
            help="torus: grid points per axis, an odd number; 0 finds one that suffices.", rich_help_panel=_METHOD
        ),
    ] = 0,
    precision: Annotated[
        PrecisionName,
        typer.Option(
            help="one-step: of the numbers; auto is multi for formulas of up to 3 coordinates.", rich_help_panel=_METHOD
        ),
    ] = PrecisionName.AUTO,
    paths: Annotated[
        int, typer.Option(help="monte-carlo: number of paths; 0 plans it from a pilot run.", rich_help_panel=_METHOD)
    ] = 0,
    most_paths: Annotated[
        int, typer.Option(help="monte-carlo: most paths that may be planned.", rich_help_panel=_METHOD)
    ] = 100_000,
    seed: Annotated[int, typer.Option(help="monte-carlo: seed of all noise.", rich_help_panel=_METHOD)] = 0,
    jobs: Annotated[
        int,
        typer.Option(
            help="monte-carlo: number of processes; the result does not depend on it.", rich_help_panel=_METHOD
        ),
    ] = 1,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=read_file_path,
            help="monte-carlo: keep the statistics in this file; a killed run goes on from it.",
            rich_help_panel=_METHOD,
        ),
    ] = None,
    batches: Annotated[
        int, typer.Option(help="Of a run directory: use so many minibatches.", rich_help_panel=_LANDSCAPE)
    ] = 4,
    batch_size: Annotated[
        int, typer.Option(help="Of a run directory: examples of each minibatch.", rich_help_panel=_LANDSCAPE)
    ] = 32,
    data_root: DataRoot = None,
    plot: PlotFile = None,
    json: JsonFile = None,
) -> None:
    """Measure the weak order of an SDE: does it approximate the rule as well as the derivation proves?

    Exit code 0 if the verdict is pass, 1 if it is fail or inconclusive.
    """
    # Here, so that --help loads no torch.
    from .chosen_landscape import default_landscape, given_landscape
    from .printing import print_weak_order

    outputs = Outputs(json, plot=plot, files={"--state": state}, inputs={"--landscape": landscape})
    steps = [float(parse_number("--etas", text)) for text in etas.split(",")] if etas else None
    beta = read_exponent(rho_exponent)
    if landscape is None:
        f = default_landscape(method, dim)
    else:
        f = given_landscape(landscape, batches, batch_size, data_root, many_paths=method is MethodName.MONTE_CARLO)
    family = None if epochs in (None, EpochLaw.INDEPENDENT) else f.size
    found = read_rule(rule, Trained(epochs, family, epoch_steps, schedule or (), distinct, inner_steps))
    sde = read_sde(found, weak_order, drift_order, beta)
    options: dict[str, Any] = {
        "landscape": f,
        "rho_scale": rho_scale,
        "values": read_values(found, value or []),
        **({} if steps is None else {"etas": steps}),
    }
    final = 1.0 if method is MethodName.ONE_STEP else float(parse_number("--horizon", horizon))
    verify: Callable[..., WeakOrder]
    match method:
        case MethodName.TORUS:
            from .torus import verify_on_torus

            verify = partial(verify_on_torus, plan=TorusPlan(horizon=final, resolution=resolution or None))
        case MethodName.ONE_STEP:
            from .one_step import verify_one_step

            verify = partial(verify_one_step, plan=OneStepPlan(precision=_PRECISIONS[precision]))
        case MethodName.MOMENTS:
            from .moments import verify_moments

            verify = partial(verify_moments, plan=MomentsPlan(horizon=final))
        case MethodName.MONTE_CARLO:
            from .monte_carlo import verify_monte_carlo

            check_count("--seed", seed, low=0)
            number = paths or None
            sampling = MonteCarloPlan(
                horizon=final, paths=number, most_paths=most_paths, seed=seed, jobs=jobs, state=state
            )
            verify = partial(verify_monte_carlo, plan=sampling)
    with progress_bar(method.value) as (progress, task):
        result = verify(sde, **options, progress=lambda done, total: progress.update(task, completed=done, total=total))
    outputs.save(result.to_dict(), result.plot)
    print_weak_order(outputs.console, result, rule, str(beta))
    outputs.say_written()
    if result.verdict != "pass":
        raise typer.Exit(1)


def _is_run(path: Path | None) -> bool:
    return path is not None and path.is_dir()
