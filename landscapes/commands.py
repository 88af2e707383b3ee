"""``eigensam spectrum``: its flags, and how its result is printed; the work is imported when it begins."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..ground.console import DataRoot, Device, Download, JsonFile, PlotFile, RunFolder
from ..ground.device import find_device
from ..ground.options import only_with
from ..ground.outputs import Outputs
from ..ground.settings_options import Group, with_settings
from .spectrum_settings import SpectrumSettings

if TYPE_CHECKING:
    from .measured_spectrum import MeasuredSpectrum

__all__ = ["SpectrumCommand", "spectrum"]

SpectrumCommand = with_settings(
    {"probes": only_with("density"), "steps": only_with("density")}, settings=SpectrumSettings
)
"""Its options are the fields of the settings."""


def spectrum(
    run: RunFolder,
    settings: Group = None,
    epoch: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCH",
            help="Of the network after this epoch, which 'eigensam train --snapshot-every' has kept; 0 is the "
            "initialisation. By default of the trained one.",
        ),
    ] = None,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
    plot: PlotFile = None,
) -> None:
    """Extreme eigenvalues (Lanczos) and density of the training loss's curvature at a trained point."""
    outputs = Outputs(json, plot=plot, inputs={"RUN": run})
    from .measured_spectrum import measure_spectrum  # here: help and refusals wait for no torch

    target = find_device(device)
    measured = measure_spectrum(run, settings, epoch=epoch, data_root=data_root, download=download, device=target)
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
    for remark in measured.remarks:
        console.print(remark, markup=False)
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
