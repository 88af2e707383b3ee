"""A trained point with its sample, opened for a bound."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...landscapes.networks.activation_bytes import activation_bytes
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.networks.network_function import NetworkFunction
from ...landscapes.runs.data_set import DataSet, converted
from ...landscapes.runs.run import Run
from ..bounded_loss import BoundedCrossEntropy
from .point_assumptions import fixed_before_the_sample
from .trained_point_settings import TrainedPointSettings

__all__ = ["SampledPoint", "open_point"]

_MEMORY = 2 * 2**30
_FOURTH = 10  # a fourth derivative needs that many times what a gradient does, seen on a ResNet-18
_ROWS = 500


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
        settings: delta, prior and effort, with the batch size that is used.
        fixed: whether all of the network but its trained parameters was there before the sample.
    """

    model: nn.Module
    loss: BoundedCrossEntropy
    landscape: NetworkLandscape
    x: Tensor
    squared_distance: float
    empirical: float
    examples: int
    settings: TrainedPointSettings
    fixed: bool

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

    def generator(self, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
        """Random numbers for each purpose and seed: draws that chose a sigma are never those that certify."""
        digest = hashlib.sha256(f"{purpose} {self.settings.seed}".encode()).digest()
        return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)

    @cached_property
    def of_few(self) -> NetworkLandscape:
        """The loss that third and fourth derivatives are taken of: all examples, or as many as the settings say."""
        count, (inputs, targets) = self.settings.derivative_examples, self.sample
        if not 0 < count < self.examples:
            return self.landscape
        some = torch.randperm(self.examples, generator=self.generator("examples"))[:count].sort().values
        return self.other(inputs[some.to(inputs.device)], targets[some.to(targets.device)])

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
    if not settings.batch_size:
        settings = replace(settings, batch_size=_rows_that_fit(model, loss, data))
    landscape = _landscape(model, loss, data.train_inputs, data.train_targets, settings)
    x = landscape.point()
    initial = run.network(initial=True).to(device, dtype)
    start = torch.zeros_like(x)
    if settings.prior == "initial":
        start = NetworkLandscape(initial, loss, landscape.batches).point()
    resolved = 16 * torch.finfo(dtype).eps * float(x.double().norm())
    if settings.rho < resolved:
        raise InputError(
            f"--rho {settings.rho} is below {resolved:.2g}, what {dtype} resolves at this point; give a larger one"
            + (", or leave out --single" if settings.single else "")
        )
    with torch.no_grad():
        empirical = float(landscape.loss(x))
    if not -1e-6 <= empirical <= 1 + 1e-6:  # it lies in [0, 1] up to rounding
        raise InputError(f"the trained network's bounded loss is {empirical}, not in [0, 1]; its training diverged")
    distance = float((x.double() - start.double()).square().sum()) * (1 + (landscape.dim + 2) * 2.0**-52)
    empirical, fixed = min(max(empirical, 0.0), 1.0), fixed_before_the_sample(model, initial)
    return SampledPoint(model, loss, landscape, x, distance, empirical, len(data.train_targets), settings, fixed)


def _landscape(
    model: nn.Module, loss: BoundedCrossEntropy, inputs: Tensor, targets: Tensor, settings: TrainedPointSettings
) -> NetworkLandscape:
    first = next(model.parameters())
    inputs, targets = converted(inputs, first.dtype).to(first.device), targets.to(first.device)
    return NetworkLandscape.from_tensors(model, loss, inputs, targets, chunk_size=settings.batch_size)


def _rows_that_fit(model: nn.Module, loss: BoundedCrossEntropy, data: DataSet) -> int:
    """Examples of a pass of a fourth derivative in 2 GiB."""
    first = next(model.parameters())
    rows = min(8, len(data.train_targets))
    inputs = converted(data.train_inputs[:rows], first.dtype).to(first.device)
    network = NetworkFunction(model, loss)
    held = activation_bytes(network, network.point(), (inputs, data.train_targets[:rows].to(first.device)))
    return max(1, min(_ROWS, int(_MEMORY * rows / max(1, _FOURTH * held))))
