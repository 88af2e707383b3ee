"""Many steps of many paths in one call: random numbers, scheme and problem in one function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draw, Draws

__all__ = ["Clock", "Kernel", "Step"]

Step = Callable[..., Sequence[Tensor]]
"""``(t, x_1, ..., x_d, z_1, ..., z_m, signs...)`` to components of the next state; each has one number per path."""

Move = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(key, number of the first step, numbers of the paths ``(n,)``, states ``(d, n)``) to states after the steps."""


@dataclass(frozen=True)
class Clock:
    """When steps are: step ``k`` goes from ``t0 + k h`` to ``t0 + (k + 1) h``."""

    h: float
    t0: float = 0.0

    def time(self, step: Tensor, dtype: torch.dtype) -> Tensor:
        """When a step begins; computed in double precision from its number, so that nothing adds up."""
        return (step.to(torch.float64) * self.h + self.t0).to(dtype)


@dataclass(frozen=True)
class Kernel:
    """A step on components, and the numbers that drive it.

    Attributes:
        step: of the scheme.
        draws: of its random numbers.
        clock: times of steps.
        compiled_group: ``draws.group``, compiled, where calls are not; None: as it is.
    """

    step: Step
    draws: Draws
    clock: Clock
    compiled_group: Callable[[Tensor, Tensor, Tensor], list[Draw]] | None = None

    def moves(self, groups: int) -> Move:
        """Function that takes the steps of so many whole groups; the first step begins a group."""
        size, numbers = self.draws.group_steps, self.compiled_group or self.draws.group

        def move(key: Tensor, first: Tensor, path: Tensor, states: Tensor) -> Tensor:
            x = states.unbind(0)
            for g in range(groups):
                for i, draw in enumerate(numbers(key, path, first // size + g)):
                    x = self._moved(first + (g * size + i), x, draw)
            return torch.stack(x)

        return move

    def moves_once(self) -> Move:
        """Function that takes one step, wherever it lies in its group."""
        size, numbers = self.draws.group_steps, self.compiled_group or self.draws.group

        def move(key: Tensor, first: Tensor, path: Tensor, states: Tensor) -> Tensor:
            steps, place = numbers(key, path, first // size), first % size
            increments, signs = steps[0]
            for i, other in enumerate(steps[1:], 1):
                here = place == i
                increments = [torch.where(here, b, a) for a, b in zip(increments, other.increments, strict=True)]
                signs = [torch.where(here, b, a) for a, b in zip(signs, other.signs, strict=True)]
            return torch.stack(self._moved(first, states.unbind(0), Draw(increments, signs)))

        return move

    def _moved(self, number: Tensor, x: Sequence[Tensor], draw: Draw) -> tuple[Tensor, ...]:
        time = self.clock.time(number, self.draws.dtype)
        return tuple(y.expand_as(x[0]) for y in self.step(time, *x, *draw.increments, *draw.signs))
