"""How states are moved: compiled where that pays, in eager operations elsewhere, to the same steps."""

import math
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...ground.errors import InputError
from .components.operations import NotSplit
from .components.split import SplitFunction, split
from .draws import Draw, Draws
from .kernel import BatchedStep, Kernel, Step
from .point import PointProblem
from .scheme import Scheme

__all__ = ["Backend", "Stepper", "stepper"]

Backend = Literal["auto", "compiled", "eager"]

# Ours, measured on one core of a server: what decides between the two, in seconds.
_COMPILATION = 4.0
_COMPILATION_PER_OPERATION = 0.01
_EAGER_PER_OPERATION = 1e-9  # and path
_MOST_OPERATIONS = 1000  # of one compiled call, random numbers included
_PER_BLOCK = 110  # operations that a block of random words takes, up to its increments
_LARGEST_STEP = 4000  # operations; beyond, code is longer to compile than most runs
_LOOSE = {torch.float32: 2e-4, torch.float64: 1e-9}  # relative, of split code beside the function that it was made of


@dataclass
class Stepper:
    """Moves states through steps.

    Attributes:
        kernel: one step, and its random numbers.
        compiled: whether calls are compiled.
        groups: groups of steps in one call.
        why: of the choice, for people.
    """

    kernel: Kernel
    compiled: bool
    groups: int
    why: str

    def __post_init__(self) -> None:
        self._many: Callable[..., Tensor] | None = None
        self._one: Callable[..., Tensor] | None = None

    def advance(self, step: int, count: int, path: Tensor, states: Tensor) -> Tensor:
        """States after ``count`` steps.

        Args:
            step: number of the first step.
            count: how many.
            path: numbers of the paths, shape ``(n,)``.
            states: shape ``(d, n)``.
        """
        size = self.kernel.draws.group_steps
        length, end = size * self.groups, step + count
        number = torch.tensor(step, device=states.device)
        while step < end:
            whole = step % size == 0 and end - step >= length
            states = (self._for_many() if whole else self._for_one())(number, path, states)
            taken = length if whole else 1
            step += taken
            number.add_(taken)
        return states

    def _for_many(self) -> Callable[..., Tensor]:
        if self._many is None:
            self._many = self._made(self.kernel.moves(self.groups))
        return self._many

    def _for_one(self) -> Callable[..., Tensor]:
        if self._one is None:
            self._one = self._made(self.kernel.moves_once())
        return self._one

    def _made(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return torch.compile(function, fullgraph=True, dynamic=False) if self.compiled else function


def stepper(
    scheme: Scheme, point: PointProblem, h: float, seed: int, *, backend: Backend, path_steps: int, stride: int
) -> Stepper:
    """Make the function that moves states, and choose how it is run.

    Args:
        scheme: of the steps.
        point: the problem.
        h: length of a step.
        seed: of the random numbers.
        backend: "auto" compiles where the run is longer than that takes.
        path_steps: steps of all paths together.
        stride: steps between two looks at the states.

    Raises:
        InputError: functions that cannot be recorded or do something else than what was recorded; no compiler where one
            is asked for.
    """
    m = point.noise_dim
    draws = Draws(scheme.increments, m, scheme.sign_count(m), point.dtype, seed)
    step, batched = _step(scheme, point, h, draws)
    operations = step.operations + _PER_BLOCK * draws.blocks / draws.group_steps
    groups = _groups(stride // draws.group_steps, operations * draws.group_steps)
    kernel = Kernel(step, draws, h, point.problem.t0, point.device)
    ...
