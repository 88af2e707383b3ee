"""``eigensam spectrum``."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table
from torch.nn.functional import cross_entropy

from .checkpoint import Checkpoint
from .console import (
    DataRoot,
    Device,
    Download,
    JsonFile,
    check_count,
    check_json,
    console,
    find_device,
    progress_bar,
    save_json,
)
from .curvature import lanczos
from .data import load_data
from .errors import InputError
from .network import NetworkLandscape

__all__ = ["spectrum"]


def spectrum(
    run: Annotated[Path, typer.Argument(help="Run directory made by 'eigensam train'.")],
    top: Annotated[int, typer.Option(help="How many of the largest eigenvalues.")] = 1,
    max_hvps: Annotated[int, typer.Option(help="Most Hessian-vector products to spend.")] = 100,
    tolerance: Annotated[float, typer.Option(help="Relative residual at which to stop.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(help="Examples per pass; in train mode a rest is left out.")] = 500,
    batches: Annotated[int, typer.Option(help="Use only this many minibatches; 0 is all.")] = 0,
    mode: Annotated[str, typer.Option(help="Batch norm: eval or train.")] = "eval",
    seed: Annotated[int, typer.Option(help="Of the random start vector.")] = 0,
    double: Annotated[bool, typer.Option("--double", help="Compute in float64.")] = False,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Largest algebraic eigenvalues of the training loss's Hessian at a trained point, by Lanczos."""
    check_json(json)
    check_count("--batches", batches, low=0)
    check_count("--batch-size", batch_size)
    check_count("--max-hvps", max_hvps)
    check_count("--seed", seed, low=0)
    if mode not in ("train", "eval"):
        raise InputError(f"unknown mode '{mode}'; choose one of: train, eval")
    checkpoint = Checkpoint.read(run)
    model = checkpoint.network(run).to(find_device(device))
    data = load_data(checkpoint.data, data_root, download=download)
    checkpoint.check_data(data)
    inputs, targets = data.train_inputs, data.train_targets
    if double:
        model, inputs = model.double(), inputs.double()
    if batches:
        inputs, targets = inputs[: batches * batch_size], targets[: batches * batch_size]
    if mode == "train":  # minibatch statistics need whole minibatches
        landscape = NetworkLandscape.from_tensors(
            model, cross_entropy, inputs, targets, batch_size=batch_size, mode="train"
        )
        examples = landscape.size * batch_size
    else:
        landscape = NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets, chunk_size=batch_size)
        examples = len(targets)
    x = landscape.point()
    with progress_bar("Hessian-vector products", max_hvps) as (progress, task):

        def product(v: torch.Tensor) -> torch.Tensor:
            result = landscape.hessian_product(x, v)
            progress.advance(task)
            return result

        pairs = lanczos(
            product,
            landscape.dim,
            top,
            max_hvps=max_hvps,
            tolerance=tolerance,
            seed=seed,
            dtype=landscape.dtype,
            device=landscape.device,
        )
    table = Table("i", "eigenvalue", "residual", title=f"Hessian of the training loss, d = {landscape.dim}")
    for index, (value, residual) in enumerate(zip(pairs.values, pairs.residuals, strict=True), 1):
        table.add_row(str(index), f"{value:.6g}", f"{residual:.2g}")
    console.print(table)
    console.print(f"{pairs.hvps} Hessian-vector products over {examples} examples")
    if not pairs.converged:
        console.print(f"NOT converged to {tolerance:g}: raise --max-hvps (the values are lower bounds)")
    save_json(
        json,
        {
            "eigenvalues": pairs.values.tolist(),
            "residuals": pairs.residuals.tolist(),
            "hvps": pairs.hvps,
            "converged": pairs.converged,
            "tolerance": tolerance,
            "dim": landscape.dim,
            "examples": examples,
            "mode": mode,
        },
    )
