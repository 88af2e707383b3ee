"""``eigensam simulate``: flags and help; what the work needs is loaded when there is work."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ...ground.choices import with_choices
from ...ground.console import Device, JsonFile, PlotFile, read_path
from ...ground.device import find_device
from ...ground.options import Only
from ...ground.outputs import Folder, Outputs
from ...ground.settings_options import Group, with_settings
from ..arguments import (
    DerivedOrder,
    DriftOrder,
    RhoExponent,
    RuleName,
    SymbolValue,
    read_exponent,
    read_sde,
    read_values,
    rule_names,
)
from .command_settings import SimulateSettings

__all__ = ["SimulateCommand", "simulate_command"]

SimulateCommand = with_choices(
    with_settings(
        {
            "dim": Only("the default torus, without --landscape", lambda given: given["landscape"] is None),
            "horizon": Only("runs without --steps", lambda given: not given["steps"]),
        },
        settings=SimulateSettings,
    ),
    rule=rule_names,
)
"""Its options are the fields of the settings."""


def simulate_command(
    rule: RuleName,
    weak_order: DerivedOrder = None,
    drift_order: DriftOrder = None,
    rho_exponent: RhoExponent = "1/3",
    value: SymbolValue = None,
    landscape: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=read_path, help="JSON file with a torus, quadratic or formula."),
    ] = None,
    dim: Annotated[int, typer.Option(help="Dimension of the default landscape, a torus: 1 to 3.")] = 2,
    settings: Group = None,
    device: Device = "auto",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", parser=read_path, help="Keep what is complete there; a killed run goes on from it."
        ),
    ] = None,
    plot: PlotFile = None,
    json: JsonFile = None,
) -> None:
    """Simulate many paths of a rule's SDE on a landscape, and keep statistics of them.

    Time is the rule's number of steps times eta.
    """
    folders = [] if checkpoint is None else [Folder("--checkpoint", checkpoint)]
    outputs = Outputs(json, plot=plot, folders=folders, inputs={"--landscape": landscape})
    import torch  # here, and the rest: help waits for none

    from ..rules.rule import find_rule
    from .derived_ensemble import chosen_landscape, simulate_derived
    from .results.printing import print_simulation

    beta, target = read_exponent(rho_exponent), find_device(device)
    (f, described), found = chosen_landscape(landscape, dim), find_rule(rule)
    values = read_values(found, value or [])
    sde = read_sde(found, weak_order, drift_order, beta)
    result = simulate_derived(f, sde, settings, values=values, device=target, checkpoint=checkpoint)
    about = {
        "rule": str(found),
        "rho_exponent": str(beta),
        "weak_order": str(sde.weak_order),
        "landscape": described,
        "settings": asdict(settings),
    }
    dtype = getattr(torch, settings.dtype)
    outputs.save({**about, **result.to_dict()}, result.plot, device=target, dtype=dtype)
    order = f"SDE of weak order {sde.weak_order}"
    print_simulation(outputs.console, result, f"{rule}, {order}, rho = {settings.rho:g}, eta = {settings.eta:g}")
    if checkpoint is not None:
        outputs.console.print(f"kept in {checkpoint}", markup=False)
    outputs.say_written()
