"""``eigensam derive``."""

import os
import sys
from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..landscapes import InputError
from ..landscapes.console import JsonFile, check_json, check_writable
from ..landscapes.records import provenance, write_atomically, write_json
from .arguments import RhoExponent, RuleName, read_exponent
from .symbolic.code import torch_code
from .symbolic.derivation import derive
from .symbolic.proof_document import proof_document
from .symbolic.rules import find_rule
from .symbolic.summary import latex_summary, summary, to_dict

__all__ = ["derive_command"]


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
    beta = read_exponent(rho_exponent)
    with Console(stderr=True).status("deriving and proving"):  # many powers of rho take minutes
        sde = derive(find_rule(rule), weak_order, beta)
        found = to_dict(sde)
    if format is Format.JSON or json is not None:
        found["made_with"] = provenance()
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
