"""The landscape on which the ``weak-order`` command measures: a default, one of a file, or a trained network's."""

from pathlib import Path

import torch

from ...ground.console import check_count
from ...ground.errors import InputError
from ...landscapes.analytic.landscape_file import read_landscape
from ...landscapes.analytic.quadratic import Quadratic
from ...landscapes.analytic.torus import TiltedTorus
from ...landscapes.landscape import Landscape
from ...landscapes.runs.run import Run
from .moments import MOST_DIMENSIONS

__all__ = ["default_landscape", "given_landscape"]

_POINTS = 64  # paths that pass through a network at a time


def default_landscape(method: str, dim: int) -> Landscape:
    """A random quadratic for ``moments``, a tilted torus for the other methods.

    Raises:
        InputError: a dimension in which there is none.

    Example:
        >>> default_landscape("moments", 50).dim
        50
    """
    if method != "moments":
        return TiltedTorus.default(dim)
    if dim > MOST_DIMENSIONS:  # not even drawn
        raise InputError(f"--dim {dim} is out of range; give a number from 1 to {MOST_DIMENSIONS}")
    return Quadratic.random(dim)


def given_landscape(
    path: Path, batches: int, batch_size: int, data_root: Path | None, *, many_paths: bool = False
) -> Landscape:
    """Read a landscape file, or a run directory's network on its first training examples, in double precision.

    Args:
        path: of the file or the directory.
        batches: number of minibatches ``M`` of a run's landscape.
        batch_size: examples of each.
        data_root: folder of data that the run was trained on.
        many_paths: whether many points pass through the network at a time.

    Raises:
        InputError: no landscape and no finished run, other data than the run's, or fewer examples than asked for.
    """
    if not path.is_dir():
        return read_landscape(path)
    check_count("--batches", batches)
    check_count("--batch-size", batch_size)
    run = Run(path)
    data, points = run.data(data_root), _POINTS if many_paths else 1
    return run.landscape(data, batch_size=batch_size, batches=batches, dtype=torch.float64, points_per_pass=points)
