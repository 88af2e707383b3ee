"""A recursion on a network: what is trained, step by step, with its memory and the minibatches of its epochs."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ....landscapes.networks.network import NetworkLandscape
from ...derivation.derived_sde import SDE
from ...rules.bindings import Values
from ...rules.exact_steps import evaluate_blocks
from ...rules.leaves import POSITION
from ...rules.recursion import Recursion
from ..problems.minibatch_laws import minibatch_law
from ..problems.shifted_start import shifted_start
from .minibatch_fields import BoundValues, averages_minibatches, points_at_a_time
from .processes import Process, State

__all__ = ["RecursionProcess", "SlowVariable"]

_MEMORY = "memory."


@dataclass(frozen=True)
class SlowVariable:
    """``x + eta chi(x, q)`` at several points, some at a time; with memory at 0 it is where the SDE starts.

    Args:
        sde: of a recursion, an SDE of the position alone.
        landscape: the family of losses.
        eta: learning rate, and not the effective rate.
        rho: perturbation radius.
        values: of the recursion's other parameters and directions.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> sde = derive(Recursion("momentum", parse_statements("m = 1/2*m + g; x = x - eta*m")), 2, 1)
        >>> slow = SlowVariable(sde, Quadratic([[2.0]], centres=[[0.0]]), eta=0.01, rho=0.0)
        >>> slow(torch.ones(2, 1, dtype=torch.float64)).tolist()
        [[1.04], [1.04]]
    """

    sde: SDE
    landscape: Landscape
    eta: float
    rho: float
    values: Values | None = None

    def __call__(self, x: Tensor, memory: Mapping[str, Tensor] | None = None, time: float = 0.0) -> Tensor:
        """At points ``(P, d)`` with blocks of memory of the same shape, 0 where there are none."""
        fast = [] if self.sde.parts is None else self.sde.parts.fast
        if not memory and bool((x == x[:1]).all()):  # once, where all are the same
            return self._of(x[:1], {}, time).expand_as(x).clone()
        found, size = [], points_at_a_time(self.landscape)
        for first in range(0, len(x), size):
            rows = slice(first, first + size)
            found.append(self._of(x[rows], {name: (memory or {})[name][rows] for name in fast if memory}, time))
        return torch.cat(found)

    def _of(self, x: Tensor, memory: Mapping[str, Tensor], time: float) -> Tensor:
        return shifted_start(
            self.sde, self.landscape, x, self.eta, self.rho, memory=memory, values=self.values, time=time
        )


class RecursionProcess(Process):
    """All blocks of a recursion's state; memory starts at 0, and a step takes one minibatch of the recursion's law.

    Args:
        landscape: the family of losses.
        recursion: of one draw in a step.
        values: of its symbols, from :func:`bind`.
        eta: learning rate.
        clock: the time that a step takes; schedules are read where it begins.
        slow: what is looked at; None: the position.

    Raises:
        InputError: several draws in a step; epochs of another number of minibatches than the landscape's.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> momentum = Recursion("momentum", parse_statements("m = 9/10*m + g; x = x - eta*m"))
        >>> f = Quadratic([[2.0]], centres=[[0.0]])
        >>> process = RecursionProcess(f, momentum, {"rho": 0.0}, eta=0.1, clock=1.0)
        >>> state, z = process.start(torch.ones(1, 1, dtype=torch.float64)), torch.zeros(1, 1, 1, dtype=torch.float64)
        >>> for step in range(2):
        ...     state = process.advance(state, step, z)
        >>> {name: round(state[name].item(), 9) for name in ("x", "memory.m")}  # 1 - 0.1*2, 0.8 - 0.1*(0.9*2 + 1.6)
        {'x': 0.46, 'memory.m': 3.4}
    """

    def __init__(
        self,
        landscape: Landscape,
        recursion: Recursion,
        values: BoundValues,
        eta: float,
        clock: float,
        slow: SlowVariable | None = None,
    ) -> None:
        if len(recursion.draws) > 1:
            raise InputError(
                f"recursion '{recursion.name}' draws {len(recursion.draws)} minibatches in a step; on a network a step "
                "takes one: run it on a toy, or write it with one draw"
            )
        self.landscape, self.recursion, self.clock = landscape, recursion, clock
        self._values, self._slow = {**values, "eta": eta}, slow
        self._law = minibatch_law(recursion, landscape.size)
        self._alone = isinstance(landscape, NetworkLandscape) and not averages_minibatches(recursion)

    def start(self, x: Tensor) -> State:
        """Memory at 0, before an epoch."""
        memory = {_MEMORY + name: torch.zeros_like(x) for name in self.recursion.blocks[1:]}
        epoch = torch.tensor(self._law.memory, dtype=torch.float64, device=x.device).repeat(len(x), 1)
        steps = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        return {POSITION: x, **memory, "steps": steps, **({"epoch": epoch} if self._law.memory else {})}

    def points(self, state: State) -> Tensor:
        """The slow variable or the position, shape ``(P, d)``."""
        if self._slow is None:
            return state[POSITION]
        memory = {name.removeprefix(_MEMORY): each for name, each in state.items() if name.startswith(_MEMORY)}
        return self._slow(state[POSITION], memory, int(state["steps"][0]) * self.clock)

    def advance(self, state: State, step: int, z: Tensor) -> State:
        """One minibatch for each path."""
        x = state[POSITION]
        scores, epoch = z.sum(1).to(x.device), state.get("epoch", x.new_zeros(len(x), 0, dtype=torch.float64))
        (chosen,), epoch = torch.vmap(self._law.pick)(scores, epoch)
        gamma = chosen.argmax(1)
        blocks = {name: state[name if name == POSITION else _MEMORY + name][:, None] for name in self.recursion.blocks}
        values = {**self._values, **{name: each(step * self.clock) for name, each in self.recursion.schedules.items()}}
        if self._alone:
            assert isinstance(self.landscape, NetworkLandscape)
            every = evaluate_blocks(self.recursion, self.landscape.picked(gamma), blocks, values)
            after = {name: each[:, 0] for name, each in every.items()}
        else:
            rows = torch.arange(len(x), device=x.device)
            every = evaluate_blocks(self.recursion, self.landscape, blocks, values)
            after = {name: each[rows, gamma] for name, each in every.items()}
        kept = {name if name == POSITION else _MEMORY + name: each for name, each in after.items()}
        found = {**kept, "steps": state["steps"] + 1}
        return {**found, "epoch": epoch} if self._law.memory else found
