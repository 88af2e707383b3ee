"""Many steps of many paths in one call: random numbers, scheme and problem in one compiled function."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .components.split import SplitFunction
from .draws import Draw, Draws

__all__ = ["Kernel", "compiled"]

Move = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(number of the first step, numbers of the paths ``(n,)``, states ``(d, n)``) to states after the steps."""


@dataclass(frozen=True)
class Kernel:
    """A step as code on components, with the numbers that drive it.

    Attributes:
        step: code of ``step(t, x, dw, signs)``.
        draws: of its random numbers.
        h: length of a step.
        t0: time at step 0.
        device: of the states.
    """

    step: SplitFunction
    draws: Draws
    h: float
    t0: float
    device: torch.device

    @property
    def dim(self) -> int:
        """Components of a state."""
        return len(self.step.inputs[1])

    def moves(self, groups: int) -> Move:
        """Function that takes the steps of so many whole groups; the first step begins a group."""
        function, size = self.step.function(self.device), self.draws.group_steps

        def move(first: Tensor, path: Tensor, states: Tensor) -> Tensor:
            x = states.unbind(0)
            for g in range(groups):
                for i, draw in enumerate(self.draws.group(path, first // size + g)):
                    x = self._step(function, first + (g * size + i), x, draw)
            return torch.stack(x)

        return move

    def moves_once(self) -> Move:
        """Function that takes one step, wherever it lies in its group."""
        function, size = self.step.function(self.device), self.draws.group_steps

        def move(first: Tensor, path: Tensor, states: Tensor) -> Tensor:
            draws, place = self.draws.group(path, first // size), first % size
            chosen = draws[0]
            for i, draw in enumerate(draws[1:], 1):
                here = place == i
                chosen = Draw(
                    *(
                        [torch.where(here, a, b) for a, b in zip(*both, strict=True)]
                        for both in zip(draw, chosen, strict=True)
                    )
                )
            return torch.stack(self._step(function, first, states.unbind(0), chosen))

        return move

    def _step(self, function: Any, number: Tensor, x: Any, draw: Draw) -> Any:
        dtype = self.draws.dtype
        time = (number.to(torch.float64) * self.h + self.t0).to(dtype)
        dw = [z * self.h**0.5 for z in draw.increments]
        return [y.expand_as(x[0]) for y in function(time, *x, *dw, *draw.signs)]
