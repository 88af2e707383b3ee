"""``eigensam spectrum``."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, get_args

import torch
import typer
from rich.table import Table
from torch.nn.functional import cross_entropy

from ..ground.console import DataRoot, Device, Download, JsonFile, PlotFile, RunFolder, check_count, progress_bar
from ..ground.device import find_device
from ..ground.errors import InputError
from ..ground.options import Only, only_with
from ..ground.outputs import Outputs
from .curvature.network_hessian import Hessian
from .curvature.network_jacobians import EmpiricalFisher, GaussNewton
from .curvature.network_operator import NetworkOperator
from .networks.network_function import NetworkFunction
from .runs.checkpoint import Checkpoint
from .runs.data import load_data
from .spectra.density import spectral_density
from .spectra.eigenpairs import End
from .spectra.function_traces import effective_dimension, trace_of_function
from .spectra.lanczos_iteration import lanczos
from .spectra.quadrature import lanczos_quadrature
from .spectra.spectrum_picture import draw_spectrum

__all__ = ["SPECTRUM_OPTIONS", "spectrum"]

OPERATORS: dict[str, Callable[..., NetworkOperator]] = {
    "hessian": Hessian,
    "gauss-newton": GaussNewton,
    "fisher": EmpiricalFisher,
}
SPECTRUM_OPTIONS: dict[str, Only] = {"probes": only_with("density"), "steps": only_with("density")}
_TITLES = {"hessian": "Hessian", "gauss-newton": "Gauss-Newton matrix", "fisher": "Empirical Fisher matrix"}


def spectrum(
    run: RunFolder,
    top: Annotated[int, typer.Option(help="How many eigenvalues.")] = 1,
    which: Annotated[str, typer.Option(help=f"Which of them: {', '.join(get_args(End))}.")] = "largest",
    operator: Annotated[str, typer.Option(help=f"Of what: {', '.join(OPERATORS)}.")] = "hessian",
    density: Annotated[
        bool, typer.Option("--density", help="Also the spectral density, trace and norm, with intervals.")
    ] = False,
    probes: Annotated[int, typer.Option(help="Random vectors of --density.")] = 10,
    steps: Annotated[int, typer.Option(help="Lanczos steps for each of them.")] = 40,
    max_products: Annotated[int, typer.Option(help="Most matrix-vector products for the eigenvalues.")] = 100,
    tolerance: Annotated[float, typer.Option(help="Relative accuracy of each eigenvalue at which to stop.")] = 1e-3,
    delta: Annotated[float, typer.Option(help="Probability that the bound of the spectrum fails.")] = 0.05,
    batch_size: Annotated[int, typer.Option(help="Examples per pass; in train mode a rest is left out.")] = 500,
    batches: Annotated[int, typer.Option(help="Use only this many minibatches; 0 is all.")] = 0,
    mode: Annotated[str, typer.Option(help="Batch norm: eval or train.")] = "eval",
    parameters: Annotated[
        list[str] | None, typer.Option(help="Only these parameters, by name or pattern (may be repeated).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random vectors.")] = 0,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare products with differences of gradients first.")
    ] = True,
    double: Annotated[bool, typer.Option("--double", help="Compute in float64.")] = False,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
    plot: PlotFile = None,
) -> None:
    """Extreme eigenvalues (Lanczos) and density of the training loss's curvature at a trained point."""
    outputs = Outputs(json, plot=plot, inputs={"RUN": run})
    check_count("--batches", batches, low=0)
    check_count("--batch-size", batch_size)
    check_count("--max-products", max_products)
    check_count("--top", top)
    if not 0 < tolerance < 1:
        raise InputError(f"--tolerance {tolerance} is no relative accuracy between 0 and 1; give e.g. 1e-3")
    check_count("--seed", seed, low=0)
    check_count("--probes", probes, low=2)
    check_count("--steps", steps)
    if operator not in OPERATORS:
        raise InputError(f"unknown operator '{operator}'; choose one of: {', '.join(OPERATORS)}")
    if mode not in ("train", "eval"):
        raise InputError(f"unknown mode '{mode}'; choose one of: train, eval")
    if not 0 < delta < 1:
        raise InputError(f"delta = {delta} is not a probability between 0 and 1; give e.g. 0.05")
    if which not in get_args(End):
        raise InputError(f"unknown end '{which}'; choose one of: {', '.join(get_args(End))}")
    target = find_device(device)
    checkpoint = Checkpoint.read(run)
    model = checkpoint.network(run).to(target)
    data = load_data(checkpoint.data, data_root, download=download)
    checkpoint.check_data(data)
    inputs, targets = data.train_inputs, data.train_targets
    if double:
        model, inputs = model.double(), inputs.double()
    if batches:
        inputs, targets = inputs[: batches * batch_size], targets[: batches * batch_size]
    if mode == "train":  # minibatch statistics need whole minibatches
        whole = len(inputs) // batch_size * batch_size
        if not whole:
            raise InputError(f"batch size {batch_size} does not fit {len(inputs)} examples; give 1 to {len(inputs)}")
        inputs, targets = inputs[:whole], targets[:whole]
    network = NetworkFunction(model, cross_entropy, mode="train" if mode == "train" else "eval", parameters=parameters)
    pieces = list(zip(inputs.split(batch_size), targets.split(batch_size), strict=True))
    matrix = OPERATORS[operator](network, pieces, check=check)
    with progress_bar("matrix-vector products", max_products) as (progress, task):
        pairs = lanczos(
            matrix,
            top,
            which=which,  # type: ignore[arg-type]  # lanczos refuses what it does not know
            max_products=max_products,
            tolerance=tolerance,
            seed=seed,
            delta=delta,
            callback=lambda products, value, residual: progress.update(task, completed=products),
        )
        progress.update(task, total=pairs.products)
    exact = matrix.dtype == torch.float64
    result: dict[str, Any] = {
        "operator": _TITLES[operator],
        "eigenvalues": pairs.values.tolist(),
        "residuals": pairs.residuals.tolist(),
        "which": which,
        "products": pairs.products,
        "converged": pairs.converged,
        "missing": pairs.missing,
        "rest": None if pairs.rest is None else asdict(pairs.rest),
        "checked": pairs.checked,
        "tolerance": tolerance,
        "bound": None
        if pairs.bound is None
        else asdict(pairs.bound) | {"kind": "certificate" if exact else "estimate"},
        "dim": matrix.dim,
        "parameters": network.names,
        "examples": len(inputs),
        "mode": mode,
        "seed": seed,
    }
    if isinstance(matrix, Hessian):
        result["method"] = matrix.used
    estimates: Table | None = None
    if density:
        found, estimates = _density(matrix, probes, steps, seed, scale=float(pairs.values.abs().max()))
        result |= found
    outputs.save(result, lambda: draw_spectrum(result), device=matrix.device, dtype=matrix.dtype)
    console = outputs.console
    table = Table("i", "eigenvalue", "residual", title=f"{_TITLES[operator]} of the training loss, d = {matrix.dim}")
    for index, (value, residual) in enumerate(zip(pairs.values, pairs.residuals, strict=True), 1):
        table.add_row(str(index), f"{value:.6g}", f"{residual:.2g}")
    console.print(table)
    console.print(f"{pairs.products} matrix-vector products over {len(inputs)} examples")
    console.print(f"check of the products: {pairs.checked}", markup=False)
    if not pairs.converged:
        console.print(f"NOT converged to {tolerance:g}: {pairs.missing}", markup=False)
    if pairs.bound is not None:
        bound = pairs.bound
        kind = "certificate up to rounding" if exact else "estimate in float32; with --double a certificate"
        console.print(
            f"whole spectrum of these examples in [{bound.lower:.6g}, {bound.upper:.6g}], but for a probability of "
            f"{bound.delta:g} over the random start ({kind})"
        )
    if estimates is not None:
        console.print(estimates)
        console.print("These are estimates, not certificates.")
    outputs.say_written()


def _density(matrix: NetworkOperator, probes: int, steps: int, seed: int, scale: float) -> tuple[dict[str, Any], Table]:
    """The density and what else the same products give, as JSON and as a table."""
    with progress_bar("density", probes * min(steps, matrix.dim)) as (progress, task):
        quadrature = lanczos_quadrature(
            matrix,
            probes=probes,
            steps=steps,
            seed=seed,
            callback=lambda products: progress.update(task, completed=products),
        )
    found = spectral_density(quadrature)
    # What counts as large is ours: a tenth of the largest eigenvalue (nearer the bulk the quadrature's bias shows).
    unit = max(scale / 10, torch.finfo(torch.float64).tiny)
    estimates = {
        "trace": trace_of_function(quadrature, lambda t: t),
        "squared Frobenius norm": trace_of_function(quadrature, torch.square),
        f"effective dimension at {unit:.3g}": effective_dimension(quadrature, unit),
    }
    how = f"{probes} random vectors, {steps} steps each"
    if quadrature.exact:
        how = f"from all eigenvalues, {quadrature.products} products"
    table = Table("estimate", "value", "95 % interval", title=how)
    for name, estimate in estimates.items():
        table.add_row(name, f"{estimate.value:.6g}", f"[{estimate.lower:.6g}, {estimate.upper:.6g}]")
    curves = {
        name: getattr(found, name).tolist()
        for name in ("grid", "density", "lower", "upper", "cumulative", "cumulative_lower", "cumulative_upper")
    }
    result = {
        "density": curves | {"width": found.width, "confidence": found.confidence, "products": found.products},
        "estimates": {name: asdict(estimate) for name, estimate in estimates.items()},
    }
    return result, table
