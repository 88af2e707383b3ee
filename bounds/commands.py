"""``eigensam bound``: options and help; what it does is imported when it runs."""

from typing import Annotated

import typer

from ..ground.console import DataRoot, Device, Download, JsonFile, RunFolder, check_count, progress_bar
from ..ground.device import find_device
from ..ground.errors import InputError
from ..ground.outputs import Outputs

__all__ = ["bound"]


def bound(
    run: RunFolder,
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
    from typing import get_args  # torch loads when a bound is computed, not for --help

    from rich.table import Table

    from ..landscapes.runs.checkpoint import Checkpoint
    from ..landscapes.runs.data import load_data
    from .bounded_loss import BoundedCrossEntropy
    from .inputs import check_delta, check_sigma
    from .trained_point import PriorCentre, bound_checkpoint

    outputs = Outputs(json, inputs={"RUN": run})
    check_count("--batch-size", batch_size)
    check_count("--max-products", max_products)
    check_count("--seed", seed, low=0)
    check_delta(delta)  # all of these before data are loaded
    if sigma is not None:
        check_sigma(sigma)
    BoundedCrossEntropy(p_min)
    if prior not in get_args(PriorCentre):
        raise InputError(f"unknown prior centre '{prior}'; choose one of: {', '.join(get_args(PriorCentre))}")
    target = find_device(device)
    checkpoint = Checkpoint.read(run)
    data = load_data(checkpoint.data, data_root, download=download)
    checkpoint.check_data(data)
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
            device=target,
            progress=lambda what: progress.update(task, description=what),
        )
    outputs.save(result.to_dict(), device=target)
    console = outputs.console
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
    outputs.say_written()
