"""``eigensam bound``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..landscapes import Checkpoint, load_data
from ..landscapes.console import (
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
from .inputs import check_delta
from .trained_point import bound_checkpoint

__all__ = ["bound"]


def bound(
    run: Annotated[Path, typer.Argument(help="Run directory made by 'eigensam train'.")],
    delta: Annotated[float, typer.Option(help="Probability of failure, in (0, 1).")] = 0.05,
    p_min: Annotated[float, typer.Option(help="Probability floor of the bounded cross-entropy.")] = 1e-3,
    prior: Annotated[str, typer.Option(help="Prior mean: initial or zero.")] = "initial",
    sigma: Annotated[float | None, typer.Option(help="Posterior standard deviation; default: the best.")] = None,
    batch_size: Annotated[int, typer.Option(help="Examples per pass.")] = 500,
    max_products: Annotated[int, typer.Option(help="Most Hessian-vector products for lambda_1.")] = 30,
    seed: Annotated[int, typer.Option(help="Of random directions and start vector.")] = 0,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Theorem 4.1 at a trained point, every term separate, estimates called estimates."""
    check_json(json)
    check_count("--batch-size", batch_size)
    check_count("--max-products", max_products)
    check_count("--seed", seed, low=0)
    check_delta(delta)  # before data are loaded
    data = load_data(Checkpoint.read(run).data, data_root, download=download)
    with progress_bar("starting") as (progress, task):
        result = bound_checkpoint(
            run,
            data,
            delta=delta,
            p_min=p_min,
            centre=prior,  # type: ignore[arg-type]
            sigma=sigma,
            batch_size=batch_size,
            max_products=max_products,
            seed=seed,
            device=find_device(device),
            progress=lambda what: progress.update(task, description=what),
        )
    table = Table("term", "value", "kind", title=f"Theorem 4.1, delta = {delta:g}, loss in [0, 1]")
    for term in result.terms:
        table.add_row(term.name, f"{term.value:.4g}", term.kind)
    table.add_section()
    table.add_row("sum of the terms", f"{result.bound:.4g}", result.kind)
    table.add_row("before Pinsker (kl inverse)", f"{result.bound_kl:.4g}", result.kind)
    console.print(table)
    state = "VACUOUS: not below the loss's own upper bound 1" if result.vacuous else "not vacuous"
    console.print(f"{state}. This number is {'an ' if result.kind == 'estimate' else 'a '}{result.kind}. It assumes:")
    for sentence in result.assumptions:
        console.print(f"- {sentence}", markup=False)
    save_json(json, result.to_dict(), device=find_device(device))
