"""A recursion on a landscape as a chain to simulate: what is trained, step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ...derivation.averaging.recursion_parts import RecursionParts
from ...rules.bindings import Values, bind
from ...rules.exact_steps import TorchNumbers, evaluate_blocks
from ...rules.interpretation import interpret_each
from ...rules.leaves import POSITION
from ...rules.nodes import Mean
from ...rules.recursion import Recursion
from ...rules.traversal import walk
from ..given_numbers import finite_number
from .chain_problem import ChainProblem
from .derived_problem import check_type
from .minibatch_laws import minibatch_law
from .state import State
from .timed_schedules import timed_schedules

__all__ = ["blocks_at", "effective_rate", "recursion_chain"]

_MOST = 4096  # ours: minibatches' outcomes of one step that are computed where an average needs all of them


def recursion_chain(
    landscape: Landscape,
    recursion: Recursion,
    *,
    rho: float,
    eta: float,
    values: Values | None = None,
    substeps: int = 1,
) -> ChainProblem:
    """The recursion itself: all blocks of its state after a step with random minibatches of its law.

    A step takes the time ``inner_steps * eps`` with the effective rate ``eps = effective_rate(recursion) * eta``, as
    its SDE counts it; schedules are read where the step begins. Each draw has ``M`` normal numbers, see
    :func:`.minibatch_law`; with one draw they are those that kick an SDE of :func:`derived_problem` with the root
    "minibatches" and the same seed, in steps of ``1 / substeps`` of the chain's: so both are coupled, path by path.

    Args:
        landscape: the family of losses.
        recursion: whose sampling is that of the minibatches.
        rho: perturbation radius.
        eta: learning rate.
        values: of the recursion's other parameters and directions.
        substeps: of the SDEs that the chain is coupled to, in one of its own.

    Returns:
        A chain whose start has all blocks, :func:`blocks_at`; a position alone where there is no memory.

    Raises:
        InputError: a learning rate or radius that is not positive, epochs of another number of minibatches than the
            landscape's, a symbol without a value; when it is simulated, a start of other blocks or of another type than
            the landscape.

    Example:
        Heavy ball between two parabolas, reshuffled: an epoch takes both, so the mean settles between them.

        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import simulate
        >>> from eigensam.sde.rules.sampling import Reshuffled
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> statements = parse_statements("m = 1/2*m + g; x = x - eta*m")
        >>> momentum = Recursion("momentum", statements, sampling=Reshuffled(2))
        >>> f = Quadratic([[2.0]], centres=[[0.0], [1.0]])
        >>> chain, start = recursion_chain(f, momentum, rho=0.0, eta=0.05), torch.ones(1, dtype=torch.float64)
        >>> found = simulate(chain, blocks_at(momentum, start), dt=chain.dt, steps=100, paths=500)
        >>> chain.dt, list(found.final), round(float(found.mean[-1, 0]), 2)
        (0.1, ['x', 'm'], 0.5)
    """
    eta = finite_number("eta", eta, "a positive learning rate")
    if not eta > 0 or not rho >= 0:
        raise InputError(f"eta = {eta!r} and rho = {rho!r}; give a positive learning rate and a radius of at least 0")
    bound = {**bind(recursion, landscape, rho, values), "eta": eta}  # once: it looks at numbers
    law, at = minibatch_law(recursion, landscape.size), timed_schedules(recursion)
    moved = _averaging(landscape, recursion) if _averages(recursion) else _alone(landscape, recursion)

    def plain(t: Tensor, state: State, z: Tensor) -> State:
        return remembering(t, state, z, z[:0])[0]

    def remembering(t: Tensor, state: State, z: Tensor, memory: Tensor) -> tuple[State, Tensor]:
        blocks = _named(recursion, state)
        check_type(landscape, blocks[POSITION])
        drawn, memory = law.pick(z, memory)
        after = moved(blocks, drawn, {**bound, **at(t)})
        return (after if isinstance(state, Mapping) else after[POSITION]), memory

    time = float(effective_rate(recursion)) * recursion.inner_steps * eta
    step = remembering if law.memory else plain
    return ChainProblem(step, law.noise_dim, time, law.memory, substeps)


def effective_rate(recursion: Recursion) -> Fraction:
    """The time that a step of training takes in the recursion's SDE, as a multiple of the learning rate.

    Example:
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> effective_rate(Recursion("momentum", parse_statements("m = 9/10*m + g; x = x - eta*m")))
        Fraction(10, 1)
    """
    return RecursionParts(recursion, Fraction(1)).rate


def blocks_at(recursion: Recursion, x0: Tensor, memory: Mapping[str, Tensor] | None = None) -> Any:
    """A start of all blocks: memory is 0 where it is not given; the position alone where there is none.

    Args:
        recursion: whose blocks.
        x0: ``(d,)`` or ``(paths, d)``.
        memory: blocks by name, of the same shape.

    Raises:
        InputError: a block that the recursion has not.
    """
    if unknown := sorted((memory or {}).keys() - set(recursion.blocks[1:])):
        known = ", ".join(recursion.blocks[1:]) or "none"
        raise InputError(f"recursion '{recursion.name}' has no memory {', '.join(unknown)}; it has {known}")
    others = {name: (memory or {}).get(name, torch.zeros_like(x0)) for name in recursion.blocks[1:]}
    return {POSITION: x0, **others} if others else x0


def _named(recursion: Recursion, state: State) -> Mapping[str, Tensor]:
    """The blocks of a state, all of them."""
    found = state if isinstance(state, Mapping) else {POSITION: state}
    if set(found) != set(recursion.blocks):
        wanted = ", ".join(f"'{name}': ..." for name in recursion.blocks)
        raise InputError(
            f"the start has the blocks {', '.join(found)}; recursion '{recursion.name}' keeps "
            f"{', '.join(recursion.blocks)}: start at {{{wanted}}}, as blocks_at(recursion, x0) does"
        )
    return found


def _averages(recursion: Recursion) -> bool:
    """Whether a step needs other minibatches than those that it draws."""
    return any(isinstance(node, Mean) for value in recursion.new_values.values() for node in walk(value))


@dataclass(frozen=True)
class _Drawn(TorchNumbers):
    """Of the drawn minibatches alone: no axis of minibatches is longer than 1."""

    picked: Sequence[Tensor] = ()

    def gradients(self, x: Tensor, directions: Sequence[Tensor], draw: str) -> Tensor:
        every = self.landscape.contracted_gradients(x, [(1.0, directions)])
        return self._only(every, self._mask(draw)[:, None]).sum(-2, keepdim=True)

    def losses(self, x: Tensor, draw: str) -> Tensor:
        return self._only(self.landscape.losses(x), self._mask(draw)).sum(-1, keepdim=True)

    def _mask(self, draw: str) -> Tensor:
        return self.picked[self.draws.index(draw)]

    @staticmethod
    def _only(every: Tensor, mask: Tensor) -> Tensor:
        # Where, not a product: what the other minibatches would have done may be infinite.
        return torch.where(mask > 0, every, torch.zeros_like(every))


def _alone(landscape: Landscape, recursion: Recursion) -> Any:
    """A step of the drawn minibatches: each gradient is picked as soon as it is known."""
    draws = recursion.draws or [""]

    def moved(blocks: Mapping[str, Tensor], drawn: Sequence[Tensor], bound: Values) -> dict[str, Tensor]:
        rows = {name: block[None] for name, block in blocks.items()}
        numbers = _Drawn(landscape, rows[POSITION], bound, draws, rows, drawn)
        after = interpret_each(list(recursion.new_values.values()), rows[POSITION], numbers)
        found = dict(zip(recursion.new_values, after, strict=True))
        return {name: found[name].expand(1, landscape.dim)[0] for name in blocks}

    return moved


def _averaging(landscape: Landscape, recursion: Recursion) -> Any:
    """A step of which averages over all minibatches are a part: all outcomes, of which one is picked."""
    count = len(recursion.draws or [""])
    if landscape.size**count > _MOST:
        raise InputError(
            f"recursion '{recursion.name}' averages over minibatches and draws {count} of {landscape.size} in a step: "
            f"{landscape.size**count} outcomes; at most {_MOST} are computed, so take fewer minibatches"
        )

    def moved(blocks: Mapping[str, Tensor], drawn: Sequence[Tensor], bound: Values) -> dict[str, Tensor]:
        rows = {name: block.reshape(*[1] * count, -1) for name, block in blocks.items()}
        every = evaluate_blocks(recursion, landscape, rows, bound)
        result = {}
        for name in blocks:
            left = every[name]
            for mask in drawn:
                shape = (landscape.size, *[1] * (left.ndim - 1))
                left = torch.where(mask.reshape(shape) > 0, left, torch.zeros_like(left)).sum(0)
            result[name] = left
        return result

    return moved
