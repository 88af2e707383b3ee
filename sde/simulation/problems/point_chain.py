"""A chain's step at one flat point, checked where paths start."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ....ground.errors import InputError
from .chain_problem import ChainProblem
from .state import Start
from .tried_functions import TriedFunctions

__all__ = ["PointChain"]

_TRIES = 4  # ours: vectors of numbers that a step is tried with at each start


class PointChain(TriedFunctions):
    """The step of one state of shape ``(d,)``: point and memory as one vector.

    Args:
        problem: as it was given.
        start: where paths begin, with the chain's memory.
        horizon: how long they last: the step is tried out at times within.

    Raises:
        InputError: shapes, types or devices that do not fit; a step that fails, is not finite at the start, changes its
            arguments, or depends on chance.
    """

    def __init__(self, problem: ChainProblem, start: Start, horizon: float) -> None:
        super().__init__(start, problem.t0, f"of shape ({problem.noise_dim},)")
        self.problem, self.noise_dim = problem, problem.noise_dim
        generator = torch.Generator(device="cpu").manual_seed(2)
        numbers = torch.randn(_TRIES, self.noise_dim, generator=generator, dtype=torch.float64, device="cpu")
        self._tries = tries = numbers.to(start.points)
        for path, x in start.rows().items():
            where = f"at the start of path {path}" if path else "at the start"
            for z in tries:
                found = self._tried("step", self.time(problem.t0), x, z, where=where)
                self._expect("step", found, (start.dim,), where)
        self.probes, memory = [], start.first[start.dim - start.memory :]
        for i, (t, x) in enumerate(self._near(horizon)):  # with a memory as steps leave it, and no other
            state = torch.cat([start.seen(x), memory])
            self._refuse_chance("step", t, state, tries[i % _TRIES])
            self.probes.append((t, state))
            memory = self._tried("step", t, state, tries[i % _TRIES])[start.dim - start.memory :]

    def step(self, t: Tensor, x: Tensor, z: Tensor) -> Tensor:
        """The next state, shape ``(d,)``."""
        start = self._start
        point, size = start.structured(x), start.dim - start.memory
        if not start.memory:
            return self._whole(self.problem.step(t, point, z), size)
        found = self.problem.step(t, point, z, x[size:])
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise InputError(f"the step gives {type(found).__name__}; with a memory it gives a pair: point and memory")
        after, memory = found
        if not isinstance(memory, Tensor) or memory.shape != (start.memory,):
            shape = tuple(memory.shape) if isinstance(memory, Tensor) else type(memory).__name__
            raise InputError(f"the step gives a memory of shape {shape}; expected ({start.memory},)")
        flat = self._whole(after, size)
        if isinstance(flat, Tensor) and {flat.dtype, memory.dtype} != {x.dtype}:  # which joining them would hide
            raise InputError(
                f"the step gives {flat.dtype} and a memory of {memory.dtype} for a start of {x.dtype}; make constants "
                "with dtype=x.dtype"
            )
        return torch.cat([flat, memory])

    @property
    def functions(self) -> list[Any]:
        """As they were given."""
        return [self.problem.step]

    def values(self) -> list[Tensor]:
        """Of the step near the start."""
        return [self.step(t, x, z) for t, x in self.probes for z in self._tries]

    def _whole(self, found: Tensor | Mapping[str, Tensor], size: int) -> Tensor:
        missing = dict(self._start.blocks).keys() - found.keys() if isinstance(found, Mapping) else set()
        if missing:
            raise InputError(f"the step gives no block {', '.join(sorted(missing))}; give all, also what does not move")
        result = self._flat("step", found, (size,))
        if isinstance(result, Tensor) and result.shape != (size,):
            raise InputError(f"the step gives shape {tuple(result.shape)} at one point; expected ({size},)")
        return result
