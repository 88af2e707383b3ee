"""A trained run as the checks see it: network, loss, point, examples, and what is known of its modules."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...landscapes.curvature.landscape_hessian import top_eigenpairs
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.data_set import DataSet, converted
from ...landscapes.runs.run import Run
from ...landscapes.spectra.eigenpairs import Eigenpairs
from ..bounded_loss import BoundedCrossEntropy
from .head import Head, find_head
from .modules import KnownNetwork, known_network, layers_of
from .settings import AssumptionSettings

__all__ = ["Subject"]

_DOUBLE = 2_000_000  # ours: parameters up to which passes in float64 take minutes on one core


@dataclass(frozen=True)
class Subject:
    """What all checks of a run share.

    Attributes:
        run: it.
        data: what it was trained on, and its test set.
        settings: effort.
        device: where to compute.
        progress: called with what is being computed.
    """

    run: Run
    data: DataSet
    settings: AssumptionSettings
    device: torch.device
    progress: Callable[[str], None]

    @cached_property
    def dtype(self) -> torch.dtype:
        """float64, or float32 for a large network."""
        large = sum(p.numel() for p in self.run.network().parameters()) > _DOUBLE
        return torch.float32 if large or self.device.type == "mps" else torch.float64

    @cached_property
    def model(self) -> nn.Module:
        """The trained network."""
        return self.run.network().to(self.device, self.dtype)

    @cached_property
    def known(self) -> KnownNetwork:
        """What its modules' types say."""
        return known_network(self.model)

    @cached_property
    def layers(self) -> list[nn.Module] | None:
        """Its layers, if it is a chain of known ones."""
        return layers_of(self.model)

    @cached_property
    def dim(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    def part(self, inputs: Tensor, targets: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """So many examples, or all there are, drawn by the seed without replacement."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        chosen = torch.randperm(len(targets), generator=generator)[:count].sort().values
        return converted(inputs[chosen], self.dtype).to(self.device), targets[chosen].to(self.device)

    @cached_property
    def training_part(self) -> tuple[Tensor, Tensor]:
        """The training examples that curvature is looked at on."""
        count = self.settings.example_count(self.dim)
        return self.part(self.data.train_inputs, self.data.train_targets, count)

    @cached_property
    def held_out_part(self) -> tuple[Tensor, Tensor]:
        """The held-out examples."""
        return self.part(self.data.test_inputs, self.data.test_targets, self.settings.example_count(self.dim))

    @cached_property
    def landscape(self) -> NetworkLandscape:
        """The plain cross-entropy, which was trained, of :attr:`training_part`."""
        return self.landscape_of(*self.training_part)

    def landscape_of(self, inputs: Tensor, targets: Tensor, batch_size: int | None = None) -> NetworkLandscape:
        """The plain cross-entropy of examples, as one minibatch or several of equal size."""
        return NetworkLandscape.from_tensors(
            self.model, cross_entropy, inputs, targets, batch_size=batch_size, chunk_size=self.settings.batch_size
        )

    @cached_property
    def few(self) -> NetworkLandscape:
        """The same of few of these examples, in float64, for what takes many passes."""
        count = 16 if self.dtype == torch.float64 else 2
        device = torch.device("cpu") if self.device.type == "mps" else self.device
        inputs, targets = (part[:count].to(device) for part in self.training_part)
        model = self.run.network().to(device, torch.float64)
        return NetworkLandscape.from_tensors(model, cross_entropy, converted(inputs, torch.float64), targets)

    @cached_property
    def bounded_loss(self) -> BoundedCrossEntropy:
        """The loss that bounds use instead."""
        return BoundedCrossEntropy(self.settings.p_min)

    @cached_property
    def x(self) -> Tensor:
        """The trained point, ``(d,)``."""
        return self.landscape.point()

    @cached_property
    def head(self) -> Head | None:
        """The last linear layer, where outputs are seen to be linear in its parameters."""
        return find_head(self.few)

    @cached_property
    def pairs(self) -> Eigenpairs:
        """The two largest eigenvalues of the Hessian at the trained point (one of a single parameter)."""
        self.progress("two largest eigenvalues")
        k = min(2, self.dim)
        return top_eigenpairs(
            self.landscape, self.x, k, max_products=self.settings.product_count(self.dim), seed=self.settings.seed
        )

    @cached_property
    def rho(self) -> float | None:
        """Radius of the perturbation in training; None without one."""
        found = self.run.settings.get("optimizer")
        value = found.get("rho") if isinstance(found, dict) else None
        return float(value) if isinstance(value, int | float) else None

    def directions(self, count: int) -> Tensor:
        """Random unit vectors as rows, ``(count, d)``."""
        generator = torch.Generator().manual_seed(self.settings.seed + 1)
        rows = torch.randn(count, self.dim, generator=generator, dtype=torch.float64)
        unit: Tensor = (rows / rows.norm(dim=1, keepdim=True)).to(self.device, self.dtype)
        return unit
