"""``eigensam certify``: options and help; what it does is imported when it runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ...ground.choices import with_choices
from ...ground.console import DataRoot, Device, Download, JsonFile, PlotFile, read_path
from ...ground.options import Only
from ...ground.settings_options import Group, with_settings
from ..pac_bayes.registry import PAC_BAYES
from .recipe import PriorRecipe
from .settings import CertifySettings

__all__ = ["CertifyCommand", "certify_command"]


def _without_run(given: Mapping[str, Any]) -> bool:
    return given["run"] is None


_TRAINED = Only("a prior trained on --data", lambda given: _without_run(given) and given["prior"] == "trained")
_DATA = Only("certificates on --data, where no RUN is given", _without_run)

CertifyCommand = with_choices(
    with_settings(
        {
            **dict.fromkeys(("data", "model", "prior_seed", "out", "permute_labels"), _DATA),
            **dict.fromkeys(("optimizer", "fractions", "prior_epochs"), _TRAINED),
            "p_min": Only("--loss cross-entropy", lambda given: given["loss"] == "cross-entropy"),
            "choice_share": Only("--prior trained", lambda given: given["prior"] == "trained"),
            "eigenvectors": Only("--posterior low-rank", lambda given: given["posterior"] == "low-rank"),
        },
        recipe=PriorRecipe,
        settings=CertifySettings,
    ),
    inequality=lambda: ("auto", *PAC_BAYES),
)
"""Its options are the fields of a prior's recipe and of a certificate's settings."""


def certify_command(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            parser=read_path,
            help="Run directory that 'eigensam train --prior-fraction' has made; without it a prior is trained on "
            "--data.",
        ),
    ] = None,
    recipe: Group = None,
    settings: Group = None,
    permute_labels: Annotated[
        bool, typer.Option("--permute-labels", help="A control: labels are permuted, so nothing can be learned.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", parser=read_path, help="Keep the prior's runs, one per fraction, there."),
    ] = None,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
    plot: PlotFile = None,
) -> None:
    """A PAC-Bayes certificate: an upper value of a randomised network's risk that holds with probability 1 - delta.

    The network that is the prior is trained on a part of the data; the rest is read once, when all choices are on disk.
    """
    from .run_certify import Place, run_certify  # torch loads when there is something to certify, not for --help

    place = Place(run, out, data_root, download=download, device=device)
    run_certify(recipe, settings, place, permute_labels=permute_labels, json=json, plot=plot)
