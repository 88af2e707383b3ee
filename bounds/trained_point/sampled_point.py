"""A trained point with its sample, opened for a bound."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.data_set import DataSet, converted
from ...landscapes.runs.run import Run
from ..bounded_loss import BoundedCrossEntropy
from .trained_point_settings import TrainedPointSettings

__all__ = ["SampledPoint", "open_point"]


@dataclass(frozen=True)
class SampledPoint:
    """A trained point on its sample.

    Attributes:
        model: the network, on the device, in the precision of the computation.
        loss: that is bounded.
        landscape: its mean on the sample.
        x: parameters.
        squared_distance: ``|x - x0|^2``, rounded up.
        empirical: loss at ``x``.
        examples: ``n``.
        settings: delta, prior and effort.
    """

    model: nn.Module
    loss: BoundedCrossEntropy
    landscape: NetworkLandscape
    x: Tensor
    squared_distance: float
    empirical: float
    examples: int
    settings: TrainedPointSettings

    @property
    def arguments(self) -> dict[str, Any]:
        """What all forms of the theorem share."""
        return {
            "dim": self.landscape.dim,
            "squared_distance": self.squared_distance,
            "examples": self.examples,
            "delta": self.settings.delta,
        }

    @property
    def sample(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets."""
        ((inputs, targets),) = self.landscape.batches
        return inputs, targets

    def other(self, inputs: Tensor, targets: Tensor) -> NetworkLandscape:
        """The same loss of the same network on other examples."""
        return _landscape(self.model, self.loss, inputs, targets, self.settings)


def open_point(run: Run, data: DataSet, settings: TrainedPointSettings, device: torch.device | str) -> SampledPoint:
    """Load network and sample, and evaluate the loss.

    Raises:
        InputError: damaged or foreign tensors; a loss that is not in [0, 1].
    """
    dtype = torch.float32 if settings.single else torch.float64
    loss = BoundedCrossEntropy(settings.p_min)
    model = run.network().to(device, dtype)
    landscape = _landscape(model, loss, data.train_inputs, data.train_targets, settings)
    x = landscape.point()
    start = torch.zeros_like(x)
    if settings.prior == "initial":
        start = NetworkLandscape(run.network(initial=True).to(device, dtype), loss, landscape.batches).point()
    with torch.no_grad():
        empirical = float(landscape.loss(x))
    if not -1e-6 <= empirical <= 1 + 1e-6:  # it lies in [0, 1] up to rounding
        raise InputError(f"the trained network's bounded loss is {empirical}, not in [0, 1]; its training diverged")
    distance = float((x.double() - start.double()).square().sum()) * (1 + (landscape.dim + 2) * 2.0**-52)
    empirical = min(max(empirical, 0.0), 1.0)
    return SampledPoint(model, loss, landscape, x, distance, empirical, len(data.train_targets), settings)


def _landscape(
    model: nn.Module, loss: BoundedCrossEntropy, inputs: Tensor, targets: Tensor, settings: TrainedPointSettings
) -> NetworkLandscape:
    first = next(model.parameters())
    inputs, targets = converted(inputs, first.dtype).to(first.device), targets.to(first.device)
    return NetworkLandscape.from_tensors(model, loss, inputs, targets, chunk_size=settings.batch_size)
