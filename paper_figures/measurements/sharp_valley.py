"""SAM and its SDEs in a bent valley whose walls are steep on one side: where ten thousand paths are, and when."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...landscapes.landscape import Landscape
from ...sde.derivation.derived_sde import SDE, derive, truncate
from ...sde.rules.finding import find_memoryless
from ...sde.simulation.comparison.compare import compare
from ...sde.simulation.comparison.compare_settings import CompareSettings
from ...sde.simulation.simulate import Engine

__all__ = ["SHARP_VALLEY", "BentValley", "compared_in_valley", "valley_sdes"]

SHARP_VALLEY = {"sharp": 5.0, "flat": 0.6, "bend": 0.2, "along": 0.2, "across": 0.6}
"""Numbers of :class:`BentValley`; ours: the walls are eight times as steep on the left as on the right."""

_NOISE = ((1, 1), (1, -1), (-2, 0))  # in units of along and across
_EVERY = 10  # steps between two looks
_DIGITS = 3  # of points that are drawn


class BentValley(Landscape):
    """``f_m = 1/2 s(x) r^2 + a_m x + c_m r``, ``r = y - bend x^2``, ``s(x) = flat + (sharp - flat) (1 - tanh x) / 2``.

    The mean loss is 0 on the whole floor ``r = 0``, and its curvature across is ``s``. The three minibatches have
    ``(a_m, c_m) = (along, across), (along, -across), (-2 along, 0)``, so their gradients vanish nowhere near the floor.
    More minibatches make the SDE of order 2 slow: it takes three derivatives of each at every evaluation.

    Args:
        sharp: curvature far left.
        flat: curvature far right.
        bend: of the floor.
        along: noise of the gradient along the valley.
        across: noise across it.

    Example:
        >>> f = BentValley(**SHARP_VALLEY)
        >>> f.loss(torch.tensor([-2.0, 0.8], dtype=torch.float64)).abs().item() < 1e-12
        True
    """

    def __init__(self, sharp: float, flat: float, bend: float, along: float, across: float) -> None:
        self.sharp, self.flat, self.bend = sharp, flat, bend
        self.noise = torch.tensor([[i * along, k * across] for i, k in _NOISE], dtype=torch.float64)
        super().__init__(2, len(_NOISE), self.noise.dtype, self.noise.device)

    def _losses(self, x: Tensor) -> Tensor:
        position, height = x.unbind(-1)
        r = height - self.bend * position**2
        across = (self.flat + self.sharp) / 4 - (self.sharp - self.flat) / 4 * torch.tanh(position)
        return across * r**2 + self.noise[:, 0] * position + self.noise[:, 1] * r


def valley_sdes() -> dict[str, SDE]:
    """SAM's SDEs of drift order 1 to 3, and of weak order 2."""
    sam = find_memoryless("sam")
    found = {f"drift order {m}": truncate(sam, "1/3", m) for m in (1, 2, 3)}
    return found | {"weak order 2": derive(sam, weak_order=2, rho_exponent="2/3")}


def compared_in_valley(
    sdes: Mapping[str, SDE], start: float, eta: float, rho: float, looks: Sequence[int], paths: int, drawn: int
) -> dict[str, Any]:
    """SAM, its SDEs, and the untruncated one.

    Args:
        sdes: of SAM, by name.
        start: where on the floor, ``x``.
        eta: learning rate.
        rho: perturbation radius.
        looks: numbers of steps, multiples of 10, at which distributions are compared.
        paths: of each process.
        drawn: points of each that are kept.

    Returns:
        ``times``; ``points`` by process, ``[time][path][coordinate]``; ``means`` by process and time;
        ``energy_distances`` to SAM by process and time, each with value, interval and number of points; under "sam"
        those between two halves of SAM's own paths.
    """
    steps = max(looks)
    found = compare(
        find_memoryless("sam"),
        sdes,
        BentValley(**SHARP_VALLEY),
        torch.tensor([start, SHARP_VALLEY["bend"] * start**2], dtype=torch.float64),
        CompareSettings(
            eta=eta,
            rho=rho,
            steps=steps,
            paths=paths,
            looks=-(-steps // _EVERY),
            state_times=[eta * k for k in looks],
        ),
        observables={"x": lambda points: points[:, 0]},
        engine=Engine(backend="eager", progress=False),  # compiling so many operations would take minutes
    )
    return {
        "times": found.state_times.tolist(),
        "points": {name: _rounded(states[:drawn]) for name, states in found.states.items()},
        "means": {name: states.mean(0).tolist() for name, states in found.states.items()},
        "energy_distances": {
            name: [dict(vars(each)) for each in at_times] for name, at_times in found.energy_distances().items()
        },
    }


def _rounded(states: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """``[time][path][coordinate]``, to less than a pixel."""
    return np.round(states.swapaxes(0, 1), _DIGITS).tolist()
