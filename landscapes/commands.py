"""``eigensam spectrum``: its flags, and how its result is printed; the work is imported when it begins."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..ground.console import DataRoot, Device, Download, JsonFile, PlotFile, RunFolder
from ..ground.device import find_device
from ..ground.options import Only, only_with
from ..ground.outputs import Outputs
from .spectrum_settings import ENDS, OPERATORS, SpectrumSettings

if TYPE_CHECKING:
    from .measured_spectrum import MeasuredSpectrum

__all__ = ["SPECTRUM_OPTIONS", "spectrum"]

SPECTRUM_OPTIONS: dict[str, Only] = {"probes": only_with("density"), "steps": only_with("density")}


def spectrum(
    run: RunFolder,
    top: Annotated[int, typer.Option(help="How many eigenvalues.")] = 1,
    which: Annotated[str, typer.Option(help=f"Which of them: {', '.join(ENDS)}.")] = "largest",
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
    settings = SpectrumSettings(
        top=top,
        which=which,
        operator=operator,
        density=density,
        probes=probes,
        steps=steps,
        max_products=max_products,
        tolerance=tolerance,
        delta=delta,
        batch_size=batch_size,
        batches=batches,
        mode=mode,
        parameters=parameters,
        seed=seed,
        check=check,
        double=double,
    )
    from .measured_spectrum import measure_spectrum  # here: help and refusals wait for no torch

    target = find_device(device)
    measured = measure_spectrum(run, settings, data_root=data_root, download=download, device=target)
    matrix = measured.matrix
    outputs.save(measured.to_dict(), measured.plot, device=matrix.device, dtype=matrix.dtype)
    _show(measured, outputs.console)
    outputs.say_written()


def _show(measured: "MeasuredSpectrum", console: Console) -> None:
    """Eigenvalues, how far they may be relied on, and estimates."""
    pairs, dim = measured.pairs, measured.matrix.dim
    table = Table("i", "eigenvalue", "residual", title=f"{measured.title} of the training loss, d = {dim}")
    for index, (value, residual) in enumerate(zip(pairs.values, pairs.residuals, strict=True), 1):
        table.add_row(str(index), f"{value:.6g}", f"{residual:.2g}")
    console.print(table)
    console.print(f"{pairs.products} matrix-vector products over {measured.examples} examples")
    console.print(f"check of the products: {pairs.checked}", markup=False)
    if not pairs.converged:
        console.print(f"NOT converged to {measured.settings.tolerance:g}: {pairs.missing}", markup=False)
    if (bound := pairs.bound) is not None:
        repair = "; with --double a certificate" if bound.kind == "estimate" else ""
        console.print(
            f"whole spectrum of these examples in [{bound.lower:.6g}, {bound.upper:.6g}], but for a probability of "
            f"{bound.delta:g} over the random start ({bound.kind} {bound.why}{repair})"
        )
    if measured.quadrature is not None:
        console.print(_estimates_table(measured))
        console.print("These are estimates, not certificates.")


def _estimates_table(measured: "MeasuredSpectrum") -> Table:
    assert measured.quadrature is not None
    how = f"{measured.settings.probes} random vectors, {measured.settings.steps} steps each"
    if measured.quadrature.exact:
        how = f"from all eigenvalues, {measured.quadrature.products} products"
    table = Table("estimate", "value", "95 % interval", title=how)
    for name, estimate in measured.estimates.items():
        table.add_row(name, f"{estimate.value:.6g}", f"[{estimate.lower:.6g}, {estimate.upper:.6g}]")
    return table
