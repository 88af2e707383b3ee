"""SAM beside its SDEs of drift order 2 and 3, and beside the untruncated one, along a small network's training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.data_set import DataSet
from ...sde.derivation.derived_sde import truncate
from ...sde.rules.finding import find_memoryless
from ...sde.simulation.comparison.compare_settings import CompareSettings
from ...sde.simulation.networks.compared_networks import compared_networks
from ...sde.simulation.networks.network_observables import FIGURE_TWO, NetworkObservables
from ...sde.simulation.simulate import Engine
from .drift_terms import DRIFT_TERMS, DriftTerms

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Case", "Network", "compared_case", "used_data"]

EXPONENT = "1/3"
"""Of the paper's claim: the third-order SDE has weak order 1 where ``rho = O(eta^{1/3})``."""

_ACTIVATIONS = {"tanh": nn.Tanh, "gelu": nn.GELU, "softplus": nn.Softplus}
_WARM_SEED = 1000  # of SGD's minibatches before the start: other numbers than those of the compared paths
_PAIRS = 64  # of a path and a minibatch that pass through the network together, at most; memory and speed only


@dataclass(frozen=True)
class Network:
    """A smooth network, its data, and the comparison's size. All numbers are ours.

    Attributes:
        data: name of a data set.
        channels: of convolutions of 3 x 3 pixels, each followed by a mean over 2 x 2 pixels and the activation.
        hidden: widths of fully connected layers after them.
        activation: ``tanh``, ``gelu`` or ``softplus``: derivatives of every order exist.
        pool: images are first averaged over squares of this side.
        scale: and multiplied by this number, which makes higher derivatives smaller.
        minibatches: ``M``.
        batch_size: examples in each.
        test: first test examples that are looked at.
        eta: learning rate.
        steps: of SAM.
        seeds: paths, each with an initialisation and minibatches of its own.
        looks: at observables, about.
    """

    data: str = "digits"
    channels: tuple[int, ...] = ()
    hidden: tuple[int, ...] = (32,)
    activation: str = "tanh"
    pool: int = 1
    scale: float = 1.0
    minibatches: int = 10
    batch_size: int = 40
    test: int = 360
    eta: float = 0.1
    steps: int = 60
    seeds: int = 6
    looks: int = 15

    @property
    def radius(self) -> float:
        """``eta^{1/3}``."""
        found: float = self.eta ** (1 / 3)
        return found

    def module(self, shape: tuple[int, int, int], classes: int, seed: int) -> nn.Module:
        """The network for images of a shape, with the initialisation of a seed; torch's own generator is left alone.

        Example:
            >>> sum(p.numel() for p in Network(hidden=(8,)).module((1, 8, 8), 10, seed=0).parameters())
            610
        """
        act = _ACTIVATIONS[self.activation]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            depth, height, width = shape
            layers: list[nn.Module] = []
            for channels in self.channels:
                layers += [nn.Conv2d(depth, channels, 3, padding=1), nn.AvgPool2d(2), act()]
                depth, height, width = channels, height // 2, width // 2
            layers.append(nn.Flatten())
            size = depth * height * width
            for hidden in self.hidden:
                layers += [nn.Linear(size, hidden), act()]
                size = hidden
            return nn.Sequential(*layers, nn.Linear(size, classes))

    @property
    def examples(self) -> int:
        """Training examples that are used."""
        return self.minibatches * self.batch_size


@dataclass(frozen=True)
class Case:
    """One setting of a comparison.

    Attributes:
        name: in pictures.
        rho: perturbation radius.
        warm_up: steps of SGD before the comparison begins.
    """

    name: str
    rho: float
    warm_up: int = 0


def used_data(network: Network, data: DataSet) -> list[Tensor]:
    """Training inputs and targets, test inputs and targets, as the network gets them: the first ones.

    Raises:
        InputError: there are not as many.
    """
    if network.examples > len(data.train_inputs) or network.test > len(data.test_inputs):
        raise InputError(
            f"{network.examples} training and {network.test} test examples are asked for; {data.name} has "
            f"{len(data.train_inputs)} and {len(data.test_inputs)}"
        )
    pool = nn.AvgPool2d(network.pool) if network.pool > 1 else nn.Identity()
    train, test = (
        (pool(inputs[:count]) * network.scale).contiguous()
        for inputs, count in ((data.train_inputs, network.examples), (data.test_inputs, network.test))
    )
    return [train, data.train_targets[: network.examples], test, data.test_targets[: network.test]]


def compared_case(network: Network, case: Case, used: "Sequence[Tensor]", classes: int) -> dict[str, Any]:
    """SAM and its SDEs along the same noise, from an initialisation for each seed.

    Args:
        network: size of the comparison.
        case: radius and start.
        used: from :func:`used_data`.
        classes: number of outputs.

    Returns:
        ``times``; ``values`` by process, then observable, ``[seed][look]``; ``terms`` of SAM's drift along SAM's paths;
        ``parameters``; ``integrator``, the relative errors of the integrator by process.
    """
    train, targets, *test = used
    shape: Any = train.shape[1:]
    modules = [network.module(shape, classes, seed) for seed in range(network.seeds)]
    f = NetworkLandscape.from_tensors(
        modules[0],
        nn.functional.cross_entropy,
        train,
        targets,
        batch_size=network.batch_size,
        points_per_pass=min(_PAIRS, network.seeds * network.minibatches),
    )
    x = torch.stack([nn.utils.parameters_to_vector(each.parameters()).detach() for each in modules])
    x = _after_sgd(f, x, network.eta, case.warm_up)
    sam = find_memoryless("sam")
    found = compared_networks(
        sam,
        {f"drift order {k}": truncate(sam, EXPONENT, k) for k in (2, 3)},
        f,
        x,
        CompareSettings(
            eta=network.eta,
            rho=case.rho,
            steps=network.steps,
            paths=network.seeds,
            looks=network.looks,
        ),
        observe=DriftTerms(f, NetworkObservables(f, FIGURE_TWO, test=(test[0], test[1])), case.rho),
        engine=Engine(progress=False),
    )
    return {
        "times": list(found.rule.times),
        "values": {
            each.name: {name: each.values[name].tolist() for name in FIGURE_TWO} for each in (found.rule, *found.others)
        },
        "terms": {name: found.rule.values[name].tolist() for name in DRIFT_TERMS},
        "parameters": f.dim,
        "integrator": found.about["integrator_error"],
    }


def _after_sgd(f: NetworkLandscape, x: Tensor, eta: float, steps: int) -> Tensor:
    """Points ``(P, d)`` after steps of SGD with independent minibatches."""
    numbers = torch.Generator().manual_seed(_WARM_SEED)
    for _ in range(steps):
        drawn = torch.randint(f.size, (len(x),), generator=numbers)
        x = x - eta * f.picked(drawn).gradients(x[:, None])[:, 0]
    return x
