"""The minimum that one training has found: how its loss rises, and the plane in which the training is drawn."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...ground.errors import InputError
from ...ground.fingerprints import fingerprint
from ...ground.result_store import measured, single_threaded
from ...landscapes.curvature.landscape_hessian import top_eigenpairs
from ...landscapes.derivatives.flat import flatten
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.data_set import DataSet, converted
from ...landscapes.runs.run import Run
from ...optim.noise import generator_of
from .filter_directions import filter_normalised, plane_coordinates
from .loss_lines import checked_curvature, losses_in_plane, rises

__all__ = ["MinimumSize", "kept_minimum", "measure_minimum"]

Result = dict[str, Any]


@dataclass(frozen=True)
class MinimumSize:
    """What is measured around a minimum.

    Attributes:
        examples: most training examples of the loss, drawn once for all runs; 0 is all.
        chunk: of so many examples that pass through the network at a time; with batch norm, whose statistics are those
            of a chunk, the rest is left out.
        distances: along the filter-normalised directions, in lengths of the filters; increasing.
        distance: one of them, at which the optimizers are compared.
        unit_distance: along the unit eigenvector, at which the loss's rise is compared.
        reach: of the plane, to both sides of the minimum.
        points: of the plane's grid, along each of its axes.
        max_products: of the Hessian with a vector.
        tolerance: of the eigenvectors' residuals, relative.
        agreement: most that the second difference may deviate from the eigenvalue, relative.
    """

    examples: int = 0
    chunk: int = 500
    distances: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    distance: float = 0.05
    unit_distance: float = 0.5
    reach: float = 0.08
    points: int = 21
    max_products: int = 100
    tolerance: float = 1e-3
    agreement: float = 0.01

    def __post_init__(self) -> None:
        if self.distance not in self.distances:
            raise InputError(
                f"distance = {self.distance} is not one of distances = {', '.join(map(str, self.distances))}; give one "
                "of them"
            )
        if self.points < 3 or self.points % 2 == 0:
            raise InputError(f"points = {self.points}; give an odd number of at least 3, so that one is the minimum")


def kept_minimum(directory: Path, data: DataSet, size: MinimumSize, device: str, folder: Path, plane: bool) -> Result:
    """What :func:`measure_minimum` measures, from a file where it is there: a sweep that was interrupted goes on.

    Args:
        directory: of the run, whose name says all that the training depends on.
        data: the whole data set.
        size: effort.
        device: ``cpu`` or ``cuda``.
        folder: of the files, one for each run.
        plane: whether the plane is measured, too.
    """
    settings = {"run": directory.name, "size": asdict(size), "plane": plane, "device": device}
    path = folder / f"{directory.name}-{fingerprint(settings)[:8]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = measured(
        path,
        settings,
        __name__,
        lambda: measure_minimum(Run(directory), data, size, device, plane=plane),
        lambda: single_threaded(device),
    )
    result: Result = found.result
    return result


def measure_minimum(run: Run, data: DataSet, size: MinimumSize, device: str = "cpu", *, plane: bool) -> Result:
    """Loss, norm, curvature and rises of a trained network, and the plane of its top two eigenvectors.

    In float64. Dropout and the like are in eval mode; torch's batch norm uses statistics of the chunk, as in training
    and as where top eigenvalues are measured along it, since running statistics of the minimum are none of its
    neighbours.

    Args:
        run: finished; with snapshots, which are the trajectory.
        data: the whole data set.
        size: effort.
        device: ``cpu`` or ``cuda``.
        plane: whether the plane is measured, too.

    Returns:
        As JSON holds it: ``loss``; ``norm`` of the parameters; ``lambda_1``; ``second_difference``, which was checked
        against it; ``kept_curvature``, that of the filter-normalised eigenvector brought to length 1, relative to
        ``lambda_1``; ``unit_rise``; and ``rise`` and ``random_rise``, one number for each distance. With ``plane`` its
        ``axis``, ``losses``, ``eigenvalues``, ``parameters`` (their number) and ``trajectory``.

    Raises:
        InputError: the curvature along the eigenvector is not its eigenvalue.
    """
    landscape = _landscape(run, data, size, device)
    x, shapes = landscape.point(), landscape.network.shapes
    pairs = top_eigenpairs(landscape, x, 2 if plane else 1, max_products=size.max_products, tolerance=size.tolerance)
    top, value = pairs.vectors[0], float(pairs.values[0])
    found: Result = {
        "seed": run.checkpoint.seed,
        "loss": _loss(landscape, x),
        "norm": float(x.norm()),
        "lambda_1": value,
    }
    found["second_difference"] = checked_curvature(landscape, x, top, value, size.agreement)
    directions = torch.stack([filter_normalised(v, x, shapes) for v in pairs.vectors])
    # The same numbers for every optimizer of a seed, as its initialisation is.
    drawn = torch.randn(len(x), generator=generator_of(f"minima {run.checkpoint.seed}"), dtype=x.dtype).to(x.device)
    length = float(directions[0].norm())
    close = 1e-3  # of a filter: there the rise is curvature alone
    found["kept_curvature"] = 2 * rises(landscape, x, directions[0], [close])[0] / (close * length) ** 2 / value
    found["unit_rise"] = rises(landscape, x, top, [size.unit_distance])[0]
    found["rise"] = rises(landscape, x, directions[0], size.distances)
    found["random_rise"] = rises(landscape, x, filter_normalised(drawn, x, shapes), size.distances)
    if plane:
        directions = _oriented(directions, _point_of(run.at_epoch(0), x) - x)
        axis = torch.linspace(-size.reach, size.reach, size.points, dtype=x.dtype).tolist()
        found["plane"] = {
            "axis": axis,
            "losses": losses_in_plane(landscape, x, directions, axis),
            "eigenvalues": pairs.values.tolist(),
            "parameters": len(x),
            "trajectory": _trajectory(run, landscape, x, directions),
        }
    return found


def _landscape(run: Run, data: DataSet, size: MinimumSize, device: str) -> NetworkLandscape:
    part = run.training_part(data)
    count = min(size.examples or len(part.train_targets), len(part.train_targets))
    order = torch.randperm(len(part.train_targets), generator=generator_of("examples of minima"))[:count]
    model = run.network().to(device, torch.float64)
    inputs = converted(part.train_inputs[order], torch.float64).to(device)
    targets = part.train_targets[order].to(device)
    if any(isinstance(module, nn.modules.batchnorm._NormBase) for module in model.modules()):
        chunk = min(size.chunk, count)
        return NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets, batch_size=chunk, mode="train")
    return NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets, chunk_size=size.chunk)


@torch.no_grad()
def _loss(landscape: NetworkLandscape, x: Tensor) -> float:
    return float(landscape.loss(x))


def _point_of(run: Run, like: Tensor) -> Tensor:
    return flatten(p.detach() for p in run.network().parameters() if p.requires_grad).to(like)


def _oriented(directions: Tensor, start: Tensor) -> Tensor:
    """Signs, which eigenvectors do not have, such that the start is drawn up on the left in every picture."""
    (a, b), _ = plane_coordinates(start, directions)
    return directions * directions.new_tensor([[-1.0 if a > 0 else 1.0], [-1.0 if b < 0 else 1.0]])


def _trajectory(run: Run, landscape: NetworkLandscape, x: Tensor, directions: Tensor) -> list[dict[str, float]]:
    """Each kept network: its place in the plane, how far it is from the minimum, and the loss here and there."""
    rows = []
    for epoch in sorted({0, *run.snapshots, run.epoch}):
        there = _point_of(run.at_epoch(epoch), x)
        (a, b), share = plane_coordinates(there - x, directions)
        drawn = _loss(landscape, x + a * directions[0] + b * directions[1])
        row = {"epoch": epoch, "a": a, "b": b, "distance": float((there - x).norm()), "share": share}
        rows.append({**row, "loss": _loss(landscape, there), "drawn_loss": drawn})
    return rows
