"""What a recursion divides by, takes a root or a sign of: as :mod:`.divisor_check` for rules without memory."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...landscapes.landscape import Landscape
from ..rules.bindings import Values, bind
from ..rules.exact_steps import evaluate_in_state, recursion_step, spread_blocks
from ..rules.leaves import POSITION
from ..rules.nodes import Expression
from ..rules.recursion import Recursion
from .divisor_check import Divisor, needed_away_from_zero

__all__ = ["recursion_divisor_values", "recursion_divisors"]

Blocks = Mapping[str, Tensor]
"""By name, each of shape ``(..., 1, d)``."""


def recursion_divisors(
    recursion: Recursion,
    landscape: Landscape,
    blocks: Blocks,
    rho: float,
    eta: float,
    values: Values | None = None,
    time: float = 0.0,
) -> list[Divisor]:
    """The assumption check: how far a recursion stays from what it divides by.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> sam = Recursion("sam", parse_statements("m = 9/10*m + grad(rho*unit(g)); x = x - eta*m"))
        >>> f, one = Quadratic([[2.0]], centres=[[0.0]]), torch.ones(1, 1, 1, dtype=torch.float64)
        >>> print(*recursion_divisors(sam, f, {"x": one, "m": one}, 0.1, 0.1))
        norm(g): between 2 and 2 in size, changes by 0.31 times itself in one step
    """
    here = recursion_divisor_values(recursion, landscape, blocks, rho, eta, values, time)
    if not here:
        return []
    after = recursion_step(landscape, recursion, blocks, eta, rho, values, time)
    count = blocks[POSITION].shape[:-2].numel()
    moved = {name: block.reshape(-1, 1, landscape.dim) for name, block in after.items()}
    there = recursion_divisor_values(recursion, landscape, moved, rho, eta, values, time)
    result = []
    for name, value in here.items():
        size = value.abs().reshape(count, 1, -1)
        change = (there[name].reshape(count, -1, size.shape[-1]) - value.reshape(count, 1, -1)).abs() / size
        smallest, largest = float(size.min()), float(size.max())
        both = bool(value.min() < 0 < value.max())
        result.append(Divisor(name, smallest, largest, both, float(change.nan_to_num(nan=torch.inf).max())))
    return result


def recursion_divisor_values(
    recursion: Recursion,
    landscape: Landscape,
    blocks: Blocks,
    rho: float,
    eta: float,
    values: Values | None = None,
    time: float = 0.0,
) -> dict[str, Tensor]:
    """By name, shape ``(..., outcomes)``: an outcome for each choice of the step's minibatches."""
    bound = {**bind(recursion, landscape, rho, values), "eta": float(eta)}
    bound |= {name: schedule(time) for name, schedule in recursion.schedules.items()}
    found: dict[str, Expression] = {}
    for value in recursion.new_values.values():
        found |= needed_away_from_zero(value)
    spread = spread_blocks(recursion, blocks)
    draws = len(recursion.draws or [""])
    shape = (*blocks[POSITION].shape[:-2], *([landscape.size] * draws))
    result = {}
    for name, what in found.items():
        here = evaluate_in_state(what, recursion, landscape, spread, bound)
        result[name] = here.expand(shape).flatten(len(shape) - draws)
    return result
