"""``eigensam derive``."""

from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..ground.console import DataRoot, JsonFile, parse_number, read_file_path, read_path
from ..ground.errors import InputError
from ..ground.options import Only, only_with
from ..ground.outputs import Outputs
from .arguments import OptionalRuleName, RhoExponent, read_exponent
from .recursion_arguments import (
    TRAINED_OPTIONS,
    Batches,
    Distinct,
    Epochs,
    EpochSteps,
    InnerSteps,
    ScheduleFormula,
    Trained,
    read_rule,
)

__all__ = ["DERIVE_OPTIONS", "derive_command"]

_REGIME = "The regime"  # panel of the help

_RUN = "A training run"  # panels of the help
_OF_RULE = Only("a RULE", lambda given: given["rule"] is not None)

DERIVE_OPTIONS: dict[str, Only] = {
    **TRAINED_OPTIONS,
    "eta": only_with("landscape"),
    "curvature": only_with("like"),
    "data_root": only_with("like"),
    "epochs": _OF_RULE,
    "landscape": _OF_RULE,
}


class Format(StrEnum):
    """What ``derive`` prints."""

    TEXT = "text"
    LATEX = "latex"
    TORCH = "torch"
    JSON = "json"


def derive_command(
    rule: OptionalRuleName = None,
    weak_order: Annotated[int, typer.Option(help="Weak order that the SDE shall have, 1 or 2.")] = 1,
    rho_exponent: RhoExponent = "1/3",
    epochs: Epochs = None,
    batches: Batches = None,
    epoch_steps: EpochSteps = None,
    schedule: ScheduleFormula = None,
    distinct: Distinct = None,
    inner_steps: InnerSteps = None,
    landscape: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=read_path,
            help="JSON file with a quadratic, torus or formula: is memory fast beside its largest curvature?",
            rich_help_panel=_REGIME,
        ),
    ] = None,
    eta: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="The learning rate at which that is asked.", rich_help_panel=_REGIME),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            parser=read_path,
            help="Instead of a RULE: what a run of 'eigensam train' did, momentum, decay, schedule, epochs included.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    curvature: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Largest eigenvalue of its loss's Hessian, for the regime; else the largest one that it recorded.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    data_root: DataRoot = None,
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
    """Derive the SDE of an update rule, or of what a training run did, that has a given weak order, and prove it."""
    from ..ground.records import provenance  # here: help and version need no derivation
    from .derivation.averaging.regime import regime_of_file
    from .derivation.derived_sde import derive
    from .derivation.proof_document import proof_document
    from .derivation.summary import latex_summary, summary
    from .derivation.torch_code import printed_code

    outputs = Outputs(json, files={"--proof": proof}, inputs={"--like": like})
    if (rule is None) == (like is None):
        raise InputError(
            "derive takes a RULE, such as sam, or --like RUN, of what a training run did; give one of both"
        )
    beta = read_exponent(rho_exponent)
    rate = None if eta is None else parse_number("--eta", eta)
    if landscape is not None and rate is None:
        raise InputError("--landscape says whether memory is fast beside a curvature, at a learning rate; give --eta")
    with Console(stderr=True).status("deriving and proving"):  # many powers of rho take minutes
        if like is not None:
            from .derivation.like_run import sde_of_run

            steepest = None if curvature is None else float(parse_number("--curvature", curvature))
            trained = sde_of_run(like, weak_order, beta, curvature=steepest, data_root=data_root)
            sde, found, text = trained.sde, trained.to_dict(), trained.summary
        else:
            assert rule is not None
            read = read_rule(rule, Trained(epochs, batches, epoch_steps, schedule or (), distinct, inner_steps))
            sde = derive(read, weak_order, beta)
            regime = None if landscape is None or rate is None else regime_of_file(sde, rate, landscape)
            found = sde.to_dict() | ({} if regime is None else {"regime": regime.to_dict()})
            text = summary(sde) + ("" if regime is None else f"\n\n{regime.summary}")
    outputs.save(found)
    outputs.save_text("--proof", lambda: proof_document(sde))
    if format is Format.JSON:
        found["made_with"] = provenance()
    shown = {
        Format.TEXT: lambda: text,
        Format.LATEX: lambda: latex_summary(sde),
        Format.TORCH: lambda: printed_code(sde),
        Format.JSON: lambda: dumps(found, indent=2, ensure_ascii=False),
    }
    print(shown[format](), file=outputs.stream)
    outputs.say_written(Console(stderr=True, soft_wrap=True))  # stdout is what was asked for, perhaps JSON itself
