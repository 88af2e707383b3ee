"""``eigensam simulate``: flags and help; what the work needs is loaded when there is work."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...ground.choices import with_choices
from ...ground.console import DataRoot, Device, JsonFile, PlotFile, read_file_path, read_path
from ...ground.device import find_device
from ...ground.errors import InputError
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
)
from ..recursion_arguments import (
    TRAINED_OPTIONS,
    Batches,
    Distinct,
    Epochs,
    EpochSteps,
    InnerSteps,
    ScheduleFormula,
    Trained,
    derivable_names,
    read_rule,
)
from .command_settings import SimulateSettings
from .comparison.command_settings import ComparisonOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .comparison.given_sdes import GivenSDE

__all__ = ["SimulateCommand", "simulate_command"]

_COMPARED = Only("comparisons, with --drift-orders", lambda given: given["drift_orders"] is not None)
_SINGLE = Only("a single SDE, without --drift-orders", lambda given: given["drift_orders"] is None)
_RUN = Only("a --landscape that is a run directory", lambda given: _is_run(given["landscape"]))
_TOY = Only("landscapes other than a run's", lambda given: not _is_run(given["landscape"]))

SimulateCommand = with_choices(
    with_settings(
        {
            "dim": Only("the torus", lambda given: given["landscape"] in (None, "torus")),
            "horizon": Only("runs without --steps", lambda given: not given["steps"]),
            **dict.fromkeys(("drift_order", "chunk", "root", "trajectories", "quantiles"), _SINGLE),
            **dict.fromkeys(("sampling", "exact_drift", "flows", "eigenvector", "power_iterations"), _COMPARED),
            **dict.fromkeys(("minibatches", "batch_size", "initial", "observables", "data_root"), _RUN),
            **dict.fromkeys(("start", "backend"), _TOY),
            "portrait": _COMPARED,
            "control": _COMPARED,
            "observed": _COMPARED,
            **TRAINED_OPTIONS,
        },
        settings=SimulateSettings,
        comparison=ComparisonOptions,
    ),
    rule=derivable_names,
)
"""Its options are the fields of the settings."""


def _is_run(landscape: str | None) -> bool:
    return landscape is not None and Path(landscape).is_dir()


def simulate_command(
    rule: RuleName,
    weak_order: DerivedOrder = None,
    drift_order: DriftOrder = None,
    drift_orders: Annotated[
        str | None,
        typer.Option(
            metavar="ORDERS",
            help="Compare the rule itself with its SDEs of these drift orders, such as 1,2,3; with --weak-order also "
            "with that one.",
            rich_help_panel="The SDE",
        ),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="In a comparison: also the SDE of this other rule, at the learning rate with the same effective rate, "
            "such as sam beside SAM with momentum.",
            rich_help_panel="The SDE",
        ),
    ] = None,
    epochs: Epochs = None,
    batches: Batches = None,
    epoch_steps: EpochSteps = None,
    schedule: ScheduleFormula = None,
    distinct: Distinct = None,
    inner_steps: InnerSteps = None,
    rho_exponent: RhoExponent = "1/3",
    value: SymbolValue = None,
    landscape: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME|RUN",
            help="JSON file with a torus, quadratic or formula; torus or valley; or, to compare, a run directory of "
            "'eigensam train'.",
        ),
    ] = None,
    dim: Annotated[int, typer.Option(help="Dimension of the default landscape, a torus: 1 to 3.")] = 2,
    settings: Group = None,
    comparison: Group = None,
    data_root: DataRoot = None,
    device: Device = "auto",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", parser=read_path, help="Keep what is complete there; a killed run goes on from it."
        ),
    ] = None,
    plot: PlotFile = None,
    portrait: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=read_file_path,
            help="In two dimensions: draw paths of the rule and its SDEs on the loss's level lines.",
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Simulate many paths of a rule's SDE on a landscape; or the rule beside its SDEs, with --drift-orders.

    RULE may be statements, 'm = 9/10*m + g; x = x - eta*m', with epochs and schedules: what is trained. Time is the
    number of steps times eta, of what has memory times its effective rate, which is printed.
    """
    folders = [] if checkpoint is None else [Folder("--checkpoint", checkpoint)]
    source = Path(landscape) if landscape is not None and Path(landscape).exists() else None
    outputs = Outputs(
        json, plot=plot, pictures={"--portrait": portrait}, folders=folders, inputs={"--landscape": source}
    )
    if _is_run(landscape) and drift_orders is None:
        raise InputError(
            f"--landscape {landscape} is a run: there a rule is compared with its SDEs, so give --drift-orders "
            "1,2,3; a single SDE is simulated on a landscape of a JSON file"
        )
    import torch  # here, and the rest: help waits for none

    from ..rules.recursion import Recursion
    from .simulated_landscape import named_landscape, run_landscape

    beta, target = read_exponent(rho_exponent), find_device(device)
    trained = Trained(epochs, batches, epoch_steps, schedule or (), distinct, inner_steps)
    found = read_rule(rule, trained)
    values = read_values(found, value or [])
    dtype = getattr(torch, settings.dtype)
    if _is_run(landscape):
        if device not in ("auto", "cpu"):
            raise InputError(f"--device {device}: the network of a run is simulated on the processor; leave it out")
        target = torch.device("cpu")  # which the JSON names, too
        where = run_landscape(
            Path(str(landscape)),
            data_root,
            minibatches=comparison.minibatches,
            batch_size=comparison.batch_size,
            initial=comparison.initial,
            dtype=dtype,
        )
    else:
        where = named_landscape(landscape, dim)
    about = {
        "rule": str(found),
        "rho_exponent": str(beta),
        "landscape": where.described,
        "settings": asdict(settings),
    }
    if drift_orders is not None:
        from ...ground.pictures import MANY_LINES
        from .comparison.printing import print_comparison
        from .comparison.run_comparison import chosen_sdes, read_orders, run_comparison
        from .simulate import Engine

        engine = Engine(backend=settings.backend, checkpoint=checkpoint)
        exact = comparison.exact_drift and not isinstance(found, Recursion)
        drawn = (len(read_orders(drift_orders)) + (weak_order is not None) + exact) * (2 if comparison.flows else 1)
        drawn += control is not None
        if (plot or portrait) and drawn > len(MANY_LINES):
            raise InputError(
                f"{drawn} processes beside the rule are too many for one picture; ask for {len(MANY_LINES)} at most: "
                "fewer --drift-orders, --no-exact-drift, no --flows; or write --json only"
            )
        if portrait is not None and where.landscape.dim != 2:
            raise InputError(f"--portrait is of two dimensions; the landscape has {where.landscape.dim}: leave it out")
        other = None if control is None else read_rule(control)
        sdes = chosen_sdes(found, read_orders(drift_orders), weak_order, beta, other)
        compared = run_comparison(found, sdes, where, settings, comparison, values=values, device=target, engine=engine)
        about |= {"comparison": asdict(comparison)}
        outputs.save({**about, **compared.to_dict()}, compared.plot, device=target, dtype=dtype)
        outputs.save_picture("--portrait", lambda: compared.plot_portrait(None, where.heights))
        if isinstance(found, Recursion):
            outputs.console.print(_clock(sdes, settings.eta), markup=False)
        print_comparison(outputs.console, compared, list(sdes))
    else:
        from .derived_ensemble import simulate_derived
        from .results.printing import print_simulation

        sde = read_sde(found, weak_order, drift_order, beta)
        result = simulate_derived(where.landscape, sde, settings, values=values, device=target, checkpoint=checkpoint)
        about |= {"weak_order": str(sde.weak_order)}
        outputs.save({**about, **result.to_dict()}, result.plot, device=target, dtype=dtype)
        title = f"{rule}, SDE of weak order {sde.weak_order}, rho = {settings.rho:g}, eta = {settings.eta:g}"
        if isinstance(found, Recursion):
            title += f", eps = {sde.rate} eta = {float(sde.rate) * settings.eta:g}"
        print_simulation(outputs.console, result, title)
    if checkpoint is not None:
        outputs.console.print(f"kept in {checkpoint}", markup=False)
    outputs.say_written()


def _clock(sdes: "Mapping[str, GivenSDE]", eta: float) -> str:
    """The effective rate, in which time is measured."""
    rate = next(iter(sdes.values())).rate  # type: ignore[union-attr]  # the first is of the rule
    return f"A step of training takes the time eps = {rate} eta = {float(rate) * eta:g}."
