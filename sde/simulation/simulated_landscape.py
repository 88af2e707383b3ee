"""The landscape that the ``simulate`` command is asked for: by name, of a file, or the network of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...ground.errors import InputError
from ...ground.records import read_json
from ...landscapes.analytic.landscape_file import landscape_from_dict
from ...landscapes.analytic.torus import TiltedTorus
from ...landscapes.analytic.valley import Valley
from ...landscapes.landscape import Landscape
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run

__all__ = ["SimulatedLandscape", "named_landscape", "run_landscape"]

_PAIRS = 64  # pairs of a path and a minibatch that pass through a network at a time


@dataclass(frozen=True)
class SimulatedLandscape:
    """A landscape and what is known of it.

    Attributes:
        landscape: the family of losses.
        described: JSON-ready: of a file its content, of a run its folder, minibatches and remarks on its loss.
        data: that a network was trained on; None for others.
    """

    landscape: Landscape
    described: Any
    data: DataSet | None = None

    def heights(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean loss at points of shape ``(n, d)``."""
        f = self.landscape
        with torch.no_grad():
            return f.loss(torch.from_numpy(points).to(f.device, f.dtype)[:, None]).double().cpu().numpy()


def named_landscape(name: str | None, dim: int) -> SimulatedLandscape:
    """A landscape by its name, or of a JSON file.

    Args:
        name: "torus", "valley", or the file; None: the torus.
        dim: of the torus.

    Raises:
        InputError: no such name or file, no landscape in it, or no torus in this dimension.

    Example:
        >>> named_landscape("valley", 2).landscape.dim, named_landscape(None, 3).landscape.dim
        (2, 3)
    """
    if name is None or name == "torus":
        torus = TiltedTorus.default(dim)
        return SimulatedLandscape(torus, torus.to_dict())
    if name == "valley":
        valley = Valley()
        numbers = {"noise": valley.noise.tolist(), "flat": valley.flat, "sharp": valley.sharp}
        return SimulatedLandscape(valley, {"kind": "valley", **numbers})
    path = Path(name)
    if not path.exists() and not path.suffix:
        raise InputError(
            f"--landscape {name} is no file, no run directory, and none of the names torus, valley; give one of them"
        )
    content = read_json(path)
    return SimulatedLandscape(landscape_from_dict(content, str(path)), content)


def run_landscape(
    directory: Path,
    data_root: Path | None,
    *,
    minibatches: int,
    batch_size: int,
    initial: bool,
    dtype: torch.dtype,
) -> SimulatedLandscape:
    """The training loss of a run's network on its first examples, around where it ended or where it began.

    Raises:
        InputError: no finished run, other data than its own, or fewer examples than asked for.
    """
    run = Run(directory)
    data = run.data(data_root)
    f = run.landscape(
        data, batch_size=batch_size, batches=minibatches, dtype=dtype, points_per_pass=_PAIRS, initial=initial
    )
    described = {
        "run": str(directory),
        "model": run.checkpoint.model,
        "data": run.checkpoint.data,
        "minibatches": minibatches,
        "batch_size": batch_size,
        "initial": initial,
        "remarks": run.remarks,
    }
    return SimulatedLandscape(f, described, data)
