"""What ``eigensam certify`` does: check, train a prior where none is given, certify, print the ledger."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from ...ground.console import progress_bar
from ...ground.device import find_device
from ...ground.errors import InputError
from ...ground.outputs import Folder, Outputs
from ...landscapes.runs.data import load_data
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from ...optim.training.run_directory import unfinished
from ...optim.training.train import train
from .certificate import Certificate, draw_certificates
from .certify import certify
from .recipe import PriorRecipe
from .settings import CertifySettings

__all__ = ["Place", "permuted", "run_certify"]


@dataclass(frozen=True)
class Place:
    """What is read and written, and where it is computed.

    Attributes:
        run: to certify, or None.
        out: folder for the priors' runs, or None.
        data_root: folder of data that are not built in.
        download: whether what is missing may be fetched there.
        device: by name.
    """

    run: Path | None
    out: Path | None
    data_root: Path | None
    download: bool
    device: str


def permuted(data: DataSet, seed: int) -> DataSet:
    """The data with their labels permuted, those of the test set among themselves: nothing is left to learn.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> data = load_data("digits")
        >>> sorted(permuted(data, 0).test_targets.tolist()) == sorted(data.test_targets.tolist())
        True
    """
    generator = torch.Generator().manual_seed(2**31 + seed)  # not the permutation of the split; seeds have 32 bits
    train_targets, test_targets = (
        targets[torch.randperm(len(targets), generator=generator)]
        for targets in (data.train_targets, data.test_targets)
    )
    return replace(data, train_targets=train_targets, test_targets=test_targets)


def run_certify(
    recipe: PriorRecipe,
    settings: CertifySettings,
    place: Place,
    *,
    permute_labels: bool,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Certify a run, or data.

    Raises:
        InputError: outputs that cannot be written, data that are not there, a run that kept no examples, and whatever
            would make the certificate wrong.
    """
    names = {f"prior-{share!r}" for examples in (1, 10**9) for share in recipe.shares(examples)}  # whatever the data
    names |= {f"{name}.partial" for name in names}
    folders = [] if place.out is None else [Folder("--out", place.out, names)]
    outputs = Outputs(json, plot=plot, folders=folders, inputs={"RUN": place.run})
    target = find_device(place.device)
    with progress_bar("starting") as (progress, task), _folder(place.out) as folder:

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        if place.run is not None:
            run = Run(place.run)
            data = load_data(run.checkpoint.data, place.data_root, download=place.download)
            found = [certify(run, settings, data, device=target, progress=show)]
        else:
            data = load_data(recipe.data, place.data_root, download=place.download)
            data = permuted(data, recipe.prior_seed) if permute_labels else data
            shares = recipe.shares(len(data.train_targets))
            found = [
                _certify_share(recipe, settings, data, (share, len(shares)), folder / f"prior-{share!r}", target, show)
                for share in shares
            ]
    best = min(found, key=lambda each: each.certificate)
    result = {
        **best.to_dict(),
        "permuted_labels": permute_labels,
        **({"fractions": [each.to_dict() for each in found]} if len(found) > 1 else {}),
    }
    outputs.save(result, lambda: draw_certificates(found), device=target, dtype=torch.float64)
    for each in found:
        _show(outputs.console, each)
    if len(found) > 1:
        outputs.console.print(f"the best of {len(found)}, whose choice is paid for: {best.certificate:.4g}")
    if place.run is None and place.out is None:
        outputs.console.print("The record of choices was temporary: it cannot refuse a second look. --out keeps it.")
    if place.out is not None:
        outputs.console.print(f"kept the prior in {place.out}", markup=False)
    outputs.say_written()


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Where the priors' runs go; a temporary one is removed."""
    if out is not None:
        yield out
        return
    folder = Path(tempfile.mkdtemp(prefix="eigensam-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _certify_share(
    recipe: PriorRecipe,
    settings: CertifySettings,
    data: DataSet,
    share: tuple[float, int],
    folder: Path,
    device: torch.device,
    show: Any,
) -> Certificate:
    """Train the prior on one share, one of so many, unless it is there; then certify it."""
    fraction, union = share
    training = recipe.training(len(data.train_targets), fraction)
    if settings.prior != "trained":
        training = replace(training, epochs=1)  # only its initialisation is used
    if (folder / "checkpoint.json").is_file():
        run = Run(folder)
        if run.settings != training.to_dict():
            raise InputError(f"{folder} has the prior of other settings; repeat them, or choose another --out")
    else:
        run = train(
            training,
            data,
            folder,
            device=device,
            resume=unfinished(folder).exists(),
            progress=lambda done, total, latest: show(f"prior on {fraction:g}", done, total),
        )
    return certify(run, settings, data, union=union, device=device, progress=show)


def _show(console: Console, found: Certificate) -> None:
    """The certificate, what it has to beat, and who pays for it."""
    n = found.examples
    console.print(
        f"prior on {n['prior']} examples, choices on {n['choices']}, bound on {n['bound']}; {found.loss} loss, "
        f"delta = {found.delta:g}"
    )
    table = Table("what", "value", "kind")
    for statement in filter(None, (found.at_prior, found.optimised)):
        table.add_row(f"{statement.posterior}: risk is at most", f"{statement.certificate:.4f}", "certificate")
        table.add_row(f"  KL {statement.kl:.3g} nats; empirical Gibbs risk", f"{statement.risk:.4f}", "Monte Carlo")
        table.add_row("  Gibbs risk on the test set", f"{statement.test:.4f}", "estimate")
    table.add_section()
    if found.clopper_pearson is not None:
        table.add_row("network at the prior: error is at most", f"{found.clopper_pearson:.4f}", "Clopper-Pearson")
    table.add_row("  its error on the test set", f"{found.test_error:.4f}", "estimate")
    console.print(table)
    ledger = Table("ledger", "how", "delta", "why")
    for entry in found.ledger.entries:
        ledger.add_row(entry.what, entry.how, f"{entry.delta:.3g}" if entry.delta else "", entry.why)
    console.print(ledger)
    _conclude(console, found)


def _conclude(console: Console, found: Certificate) -> None:
    if found.vacuous:
        console.print(f"VACUOUS: {found.certificate:.4g} is not below {found.trivial_risk:.4g}, which needs no data.")
    else:
        console.print(f"certificate {found.certificate:.4g} ({found.best.posterior}), probability {1 - found.delta:g}")
    if found.clopper_pearson is not None and found.clopper_pearson < found.certificate:
        console.print(
            "Clopper-Pearson of the network at the prior, on the same examples, is smaller: "
            f"{found.clopper_pearson:.4g}; it speaks of another predictor, and at a delta of its own."
        )
    console.print("It assumes:")
    for sentence in found.assumptions:
        console.print(f"- {sentence}", markup=False)
