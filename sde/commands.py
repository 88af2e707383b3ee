"""``eigensam weak-order``."""

from typing import Annotated

import typer
from rich.table import Table

from ..landscapes import InputError, TiltedTorus
from ..landscapes.console import JsonFile, check_json, console, parse_number, progress_bar, save_json
from .rules import RULES, find_rule
from .weak_order import ETAS, verify_on_torus

__all__ = ["weak_order"]


def weak_order(
    rule: Annotated[str, typer.Argument(help=f"Update rule: {', '.join(RULES)}.")],
    drift_order: Annotated[int, typer.Option(help="Keep rho^0 .. rho^(m-1): 1, 2 or 3.")] = 3,
    rho_exponent: Annotated[str, typer.Option(help="beta in rho = c eta^beta, e.g. 1/3.")] = "1/3",
    rho_scale: Annotated[float, typer.Option(help="c in rho = c eta^beta.")] = 0.8,
    dim: Annotated[int, typer.Option(help="Torus dimension, 1 or 2.")] = 2,
    etas: Annotated[str, typer.Option(help="Step sizes, e.g. 1/8,1/16; default 2^-3 .. 2^-9.")] = "",
    horizon: Annotated[str, typer.Option(help="Final time T; every eta divides it.")] = "1",
    resolution: Annotated[int, typer.Option(help="Odd number of grid points per axis.")] = 21,
    json: JsonFile = None,
) -> None:
    """Measure the weak order of a truncated SDE on a tilted torus, without Monte-Carlo noise.

    Exit code 0 if the last slope is the predicted order, 1 if not.
    """
    check_json(json)
    steps = [float(parse_number("--etas", text)) for text in etas.split(",")] if etas else list(ETAS)
    beta = parse_number("--rho-exponent", rho_exponent)
    found = find_rule(rule)
    torus = TiltedTorus.default(dim)
    if not 3 <= resolution**dim <= 2500:
        raise InputError(f"resolution {resolution} in dimension {dim}: dense operators need 3 to 2500 grid points")
    with progress_bar("step sizes") as (progress, task):
        result = verify_on_torus(
            found,
            drift_order,
            beta,
            landscape=torus,
            etas=steps,
            horizon=float(parse_number("--horizon", horizon)),
            rho_scale=rho_scale,
            resolution=resolution,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    table = Table(
        "eta",
        "weak error",
        "slope",
        title=f"{rule}, drift order {drift_order}, rho = {rho_scale:g} eta^{beta}",
    )
    for eta, error, slope in zip(result.etas, result.errors, [None, *result.slopes], strict=True):
        table.add_row(f"{eta:.6g}", f"{error:.4g}", "" if slope is None else f"{slope:.3f}")
    console.print(table)
    console.print(
        f"{result.verdict}: last slope {result.slopes[-1]:.3f}, expected {result.expected:.3f} "
        f"+- {result.tolerance:g} (discretisation changes the last error by {result.discretisation:.1%})"
    )
    save_json(json, result.to_dict())
    if result.verdict != "pass":
        raise typer.Exit(1)
