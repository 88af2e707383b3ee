"""``eigensam weak-order``."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from torch.nn.functional import cross_entropy

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
from ...ground.errors import InputError
from ...ground.options import Only, only
from ...ground.outputs import Outputs
from ...landscapes.analytic.landscape_file import read_landscape
from ...landscapes.analytic.quadratic import Quadratic
from ...landscapes.analytic.torus import TiltedTorus
from ...landscapes.landscape import Landscape
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.checkpoint import Checkpoint
from ...landscapes.runs.data import load_data
from ..arguments import RhoExponent, RuleName, read_exponent, read_values
from ..derivation.derived_sde import derive, truncate
from ..rules.rule import find_rule
from .moments import MOST_DIMENSIONS, verify_moments
from .monte_carlo import verify_monte_carlo
from .one_step import Precision, verify_one_step
from .picture import draw_weak_order
from .torus import verify_on_torus
from .verdict import WeakOrder

__all__ = ["WEAK_ORDER_OPTIONS", "weak_order"]

_POINTS = 64  # paths that pass through a network at a time


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


_SAMPLED = only("method", MethodName.MONTE_CARLO)
_RUN = Only("a --landscape that is a run directory", lambda given: _is_run(given["landscape"]))
WEAK_ORDER_OPTIONS: dict[str, Only] = {
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
    weak_order: Annotated[int | None, typer.Option(help="Derive the SDE of this order: 1 (default) or 2.")] = None,
    drift_order: Annotated[
        int | None, typer.Option(help="Instead: keep rho^0 .. rho^(m-1), whatever order that gives.")
    ] = None,
    rho_exponent: RhoExponent = "1/3",
    rho_scale: Annotated[float, typer.Option(help="c in rho = c eta^beta.")] = 0.8,
    value: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER[,NUMBER]", help="Value of a symbol: alpha=0.2, v=1,0.")
    ] = None,
    method: Annotated[
        MethodName,
        typer.Option(
            help="torus: global error, exact. one-step: local error, exact, any dimension. moments: quadratics, "
            "exact, hundreds of dimensions. monte-carlo: anything, with intervals."
        ),
    ] = MethodName.TORUS,
    landscape: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=read_path,
            help="JSON with a torus, quadratic or formula; or a run directory of 'eigensam train'.",
        ),
    ] = None,
    dim: Annotated[int, typer.Option(help="Dimension of the default landscape: torus 1 to 3, moments any.")] = 2,
    etas: Annotated[str, typer.Option(help="Decreasing step sizes, e.g. 1/8,1/16; the default is the method's.")] = "",
    horizon: Annotated[str, typer.Option(help="Final time T; every eta divides it.")] = "1",
    resolution: Annotated[
        int, typer.Option(help="torus: odd number of grid points per axis; 0 finds one that suffices.")
    ] = 0,
    precision: Annotated[
        PrecisionName,
        typer.Option(help="one-step: auto is multi for formulas of up to 3 coordinates."),
    ] = PrecisionName.AUTO,
    paths: Annotated[int, typer.Option(help="monte-carlo: number of paths; 0 plans it from a pilot.")] = 0,
    most_paths: Annotated[int, typer.Option(help="monte-carlo: most paths that may be planned.")] = 100_000,
    seed: Annotated[int, typer.Option(help="monte-carlo: of all noise.")] = 0,
    jobs: Annotated[int, typer.Option(help="monte-carlo: processes.")] = 1,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=read_file_path, help="monte-carlo: keep the state here; a killed run goes on."
        ),
    ] = None,
    batches: Annotated[int, typer.Option(help="Run directory: number of minibatches M.")] = 4,
    batch_size: Annotated[int, typer.Option(help="Run directory: examples of each.")] = 32,
    data_root: DataRoot = None,
    plot: PlotFile = None,
    json: JsonFile = None,
) -> None:
    """Measure the weak order of an SDE: does it approximate the rule as well as the derivation proves?

    Exit code 0 if the verdict is pass, 1 if it is fail or inconclusive.
    """
    outputs = Outputs(json, plot=plot, files={"--state": state}, inputs={"--landscape": landscape})
    steps = [float(parse_number("--etas", text)) for text in etas.split(",")] if etas else None
    beta = read_exponent(rho_exponent)
    found = find_rule(rule)
    if weak_order is not None and drift_order is not None:
        raise InputError("--weak-order chooses the powers of rho, --drift-order gives them: use one of both")
    sde = truncate(found, beta, drift_order) if drift_order is not None else derive(found, weak_order or 1, beta)
    f = _landscape(method, landscape, dim, batches, batch_size, data_root)
    options: dict[str, Any] = {
        "landscape": f,
        "rho_scale": rho_scale,
        "values": read_values(found, value or []),
        **({} if steps is None else {"etas": steps}),
        **({} if method is MethodName.ONE_STEP else {"horizon": float(parse_number("--horizon", horizon))}),
    }
    verify: Callable[..., WeakOrder]
    match method:
        case MethodName.TORUS:
            verify = partial(verify_on_torus, resolution=resolution or None)
        case MethodName.ONE_STEP:
            verify = partial(verify_one_step, precision=_PRECISIONS[precision])
        case MethodName.MOMENTS:
            verify = verify_moments
        case MethodName.MONTE_CARLO:
            check_count("--seed", seed, low=0)
            verify = partial(
                verify_monte_carlo, paths=paths or None, most_paths=most_paths, seed=seed, jobs=jobs, state=state
            )
    with progress_bar(method.value) as (progress, task):
        result = verify(sde, **options, progress=lambda done, total: progress.update(task, completed=done, total=total))
    outputs.save(result.to_dict(), lambda: draw_weak_order(result.to_dict()))
    _show(outputs.console, result, rule, str(beta))
    outputs.say_written()
    if result.verdict != "pass":
        raise typer.Exit(1)


def _is_run(path: Path | None) -> bool:
    return path is not None and path.is_dir()


def _landscape(
    method: MethodName, path: Path | None, dim: int, batches: int, batch_size: int, data_root: Path | None
) -> Landscape:
    if path is None:
        if method is MethodName.MOMENTS and dim > MOST_DIMENSIONS:  # not even drawn
            raise InputError(f"--dim {dim} is out of range; give a number from 1 to {MOST_DIMENSIONS}")
        return Quadratic.random(dim) if method is MethodName.MOMENTS else TiltedTorus.default(dim)
    if not path.is_dir():
        return read_landscape(path)
    check_count("--batches", batches)
    check_count("--batch-size", batch_size)
    checkpoint = Checkpoint.read(path)
    data = load_data(checkpoint.data, data_root)
    checkpoint.check_data(data)
    count = batches * batch_size
    if count > len(data.train_targets):
        raise InputError(f"{batches} batches of {batch_size} are more than the {len(data.train_targets)} examples")
    return NetworkLandscape.from_tensors(
        checkpoint.network(path).double(),
        cross_entropy,
        data.train_inputs[:count].double(),
        data.train_targets[:count],
        batch_size=batch_size,
        points_per_pass=_POINTS if method is MethodName.MONTE_CARLO else 1,
    )


def _show(console: Console, result: WeakOrder, rule: str, beta: str) -> None:
    correction = " with correction" if result.correction else ""
    local = result.method == "one-step"
    half_widths = result.details.get("half_widths")
    columns = ["eta", "local error" if local else "weak error", *(["+-"] if half_widths else []), "slope"]
    table = Table(
        *columns,
        title=f"{rule}, drift to rho^{max(result.drift, default=0)}{correction}, "
        f"rho = {result.rho_scale:g} eta^({beta}), {result.method}",
    )
    for i, (eta, error, slope) in enumerate(zip(result.etas, result.errors, [None, *result.slopes], strict=True)):
        width = [f"{half_widths[i]:.2g}"] if half_widths else []
        table.add_row(f"{eta:.6g}", f"{error:.4g}", *width, "" if slope is None else f"{slope:.3f}")
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
        case "one-step":
            text = f"local order of weak order + 1, at {details['points']} points, {details['digits']} digits"
        case "moments":
            text = f"over all linear and quadratic test functions in {details['dim']} dimensions"
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
