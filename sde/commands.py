"""``eigensam derive``."""

from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..ground.console import JsonFile, read_file_path
from ..ground.outputs import Outputs
from .arguments import RhoExponent, RuleName, read_exponent

__all__ = ["derive_command"]


class Format(StrEnum):
    """What ``derive`` prints."""

    TEXT = "text"
    LATEX = "latex"
    TORCH = "torch"
    JSON = "json"


def derive_command(
    rule: RuleName,
    weak_order: Annotated[int, typer.Option(help="Weak order that the SDE shall have, 1 or 2.")] = 1,
    rho_exponent: RhoExponent = "1/3",
    format: Annotated[
        Format,
        typer.Option(help="What is printed: the SDE as text, as LaTeX, as torch code that computes it, or as JSON."),
    ] = Format.TEXT,
    proof: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=read_file_path, help="Also write the proof into this file, as a LaTeX document."
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Derive the SDE of an update rule that has a given weak order, and prove it."""
    from ..ground.records import provenance  # here: help and version need no derivation
    from .derivation.derived_sde import derive
    from .derivation.proof_document import proof_document
    from .derivation.summary import latex_summary, summary
    from .derivation.torch_code import torch_code
    from .rules.finding import find_rule

    outputs = Outputs(json, files={"--proof": proof})
    beta = read_exponent(rho_exponent)
    with Console(stderr=True).status("deriving and proving"):  # many powers of rho take minutes
        sde = derive(find_rule(rule), weak_order, beta)
        found = sde.to_dict()
    outputs.save(found)
    outputs.save_text("--proof", lambda: proof_document(sde))
    if format is Format.JSON:
        found["made_with"] = provenance()
    shown = {
        Format.TEXT: lambda: summary(sde),
        Format.LATEX: lambda: latex_summary(sde),
        Format.TORCH: lambda: torch_code(sde),
        Format.JSON: lambda: dumps(found, indent=2, ensure_ascii=False),
    }
    print(shown[format](), file=outputs.stream)
    outputs.say_written(Console(stderr=True, soft_wrap=True))  # stdout is what was asked for, perhaps JSON itself
