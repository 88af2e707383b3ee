"""The studies of one trained run: around its network, trained on half, and around its initialisation."""

from pathlib import Path
from typing import Any

from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from .spectral_study import SpectralStudy, StudySize

__all__ = ["study_run"]


def study_run(directory: Path, data: DataSet, size: StudySize, initial: bool) -> dict[str, Any]:
    """What :class:`SpectralStudy` measures, as JSON holds it.

    Args:
        directory: of a run that kept a part of its examples.
        data: the whole data set.
        size: effort.
        initial: the prior's mean is the initialisation, and all training examples are those of the bound; else it is
            the trained network, and they are what it has not seen.
    """
    run = Run(directory)
    if initial:
        part = data
    else:
        split = run.split
        assert split is not None
        part = split.bound_part(data)
    seed = run.checkpoint.seed
    study = SpectralStudy(run.network(initial=initial), part.train_inputs, part.train_targets, size, seed)
    return {
        "seed": seed,
        "examples": len(part.train_targets),
        "frontier": study.frontier(),
        "certificates": study.certificates(),
        "trap": study.trap(),
        "at_prior": study.at_prior(),
        "products": study.products,
    }
