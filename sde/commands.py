"""``eigensam derive`` and ``eigensam weak-order``."""

import os
import sys
from enum import StrEnum
from fractions import Fraction
from json import dumps
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from ..landscapes import InputError, TiltedTorus
from ..landscapes.console import (
    JsonFile,
    check_json,
    check_writable,
    console,
    parse_number,
    progress_bar,
    save_json,
)
from ..landscapes.records import write_atomically, write_json
from .symbolic.bindings import Values, bind
from .symbolic.code import torch_code
from .symbolic.derivation import SDE, derive, truncate
from .symbolic.proof_document import proof_document
from .symbolic.rules import RULES, find_rule
from .symbolic.summary import latex_summary, summary, to_dict
from .weak_order import ETAS, verify_on_torus

__all__ = ["derive_command", "weak_order"]

RuleName = Annotated[
    str, typer.Argument(metavar="RULE", help=f"One of {', '.join(RULES)}; or an expression: 'grad(rho*g/norm(g))'.")
]
RhoExponent = Annotated[str, typer.Option(help="Rational beta in rho = c eta^beta, e.g. 1/3.")]


class Format(StrEnum):
    """What ``derive`` prints."""

    TEXT = "text"
    LATEX = "latex"
    TORCH = "torch"
    JSON = "json"


def derive_command(
    rule: RuleName,
    weak_order: Annotated[int, typer.Option(help="1 or 2.")] = 1,
    rho_exponent: RhoExponent = "1/3",
    format: Annotated[Format, typer.Option(help="What to print.")] = Format.TEXT,
    proof: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the proof as a LaTeX document.")
    ] = None,
    json: JsonFile = None,
) -> None:
    """Derive the SDE of an update rule that has a given weak order, and prove it."""
    check_json(json)
    if proof is not None:
        check_writable("--proof", proof)
        if json is not None and os.path.realpath(proof) == os.path.realpath(json):
            raise InputError(f"--proof and --json are both {proof}; give two files")
    beta = _exponent(rho_exponent)
    with Console(stderr=True).status("deriving and proving"):  # many powers of rho take minutes
        sde = derive(find_rule(rule), weak_order, beta)
        found = to_dict(sde)
    shown = {
        Format.TEXT: lambda: summary(sde),
        Format.LATEX: lambda: latex_summary(sde),
        Format.TORCH: lambda: torch_code(sde),
        Format.JSON: lambda: dumps(found, indent=2, ensure_ascii=False),
    }
    print(shown[format]())
    if proof is not None:
        write_atomically(proof, proof_document(sde).encode())
        print(f"wrote {proof}", file=sys.stderr)
    if json is not None:
        write_json(json, found)
        print(f"wrote {json}", file=sys.stderr)  # stdout is what was asked for, perhaps JSON itself


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
    dim: Annotated[int, typer.Option(help="Torus dimension, 1 or 2.")] = 2,
    etas: Annotated[str, typer.Option(help="Step sizes, e.g. 1/8,1/16; default 2^-3 .. 2^-9.")] = "",
    horizon: Annotated[str, typer.Option(help="Final time T; every eta divides it.")] = "1",
    resolution: Annotated[int, typer.Option(help="Odd number of grid points per axis.")] = 21,
    json: JsonFile = None,
) -> None:
    """Measure the weak order of an SDE on a tilted torus, without Monte-Carlo noise.

    Exit code 0 if the last slope is the order that the derivation proves, 1 if not.
    """
    check_json(json)
    steps = [float(parse_number("--etas", text)) for text in etas.split(",")] if etas else list(ETAS)
    beta = _exponent(rho_exponent)
    found = find_rule(rule)
    if weak_order is not None and drift_order is not None:
        raise InputError("--weak-order chooses the powers of rho, --drift-order gives them: use one of both")
    sde = truncate(found, beta, drift_order) if drift_order is not None else derive(found, weak_order or 1, beta)
    torus = TiltedTorus.default(dim)
    if not 3 <= resolution**dim <= 2500:
        raise InputError(f"resolution {resolution} in dimension {dim}: dense operators need 3 to 2500 grid points")
    values = _values(sde, value or [])
    bind(found, torus, 1.0, values)
    with progress_bar("step sizes") as (progress, task):
        result = verify_on_torus(
            sde,
            landscape=torus,
            etas=steps,
            horizon=float(parse_number("--horizon", horizon)),
            rho_scale=rho_scale,
            resolution=resolution,
            values=values,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    correction = " with correction" if sde.correction else ""
    table = Table(
        "eta",
        "weak error",
        "slope",
        title=f"{rule}, drift to rho^{max(sde.increments, default=0)}{correction}, rho = {rho_scale:g} eta^({beta})",
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


def _exponent(text: str) -> Fraction:
    try:
        return parse_number("--rho-exponent", text)
    except InputError:
        raise InputError(f"--rho-exponent '{text}' is not rational; give a fraction such as 1/3 or 0.5") from None


def _values(sde: SDE, given: list[str]) -> Values:
    """``NAME=NUMBER`` as a parameter, ``NAME=NUMBER,NUMBER`` as a direction, which is normalised."""
    result: dict[str, float | torch.Tensor] = {}
    for text in given:
        name, _, numbers = text.partition("=")
        components = [float(parse_number(f"--value {name}", number)) for number in numbers.split(",")]
        vector = torch.tensor(components, dtype=torch.float64)
        direction = name in sde.rule.directions
        result[name] = vector / torch.linalg.vector_norm(vector) if direction else components[0]
        if not direction and len(components) > 1:
            raise InputError(f"--value {text}: rule '{sde.rule.name}' has no direction {name}; give one number")
    return result
