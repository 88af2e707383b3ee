"""Where the SDE of a recursion starts: its position less what its memory has not done yet (theory, section 8)."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ...derivation.compiled_code import compile_corrector_code
from ...derivation.derived_sde import SDE
from ...rules.bindings import Values, bind
from ...rules.leaves import POSITION
from ...rules.recursion import Recursion
from .coefficients import schedule_values
from .recursion_chain import blocks_at

__all__ = ["sde_start", "shifted_start"]


def shifted_start(
    sde: SDE,
    landscape: Landscape,
    x0: Tensor,
    eta: float,
    rho: float,
    *,
    memory: Mapping[str, Tensor] | None = None,
    values: Values | None = None,
    time: float = 0.0,
) -> Tensor:
    """``X_0 = x_0 + eta chi(x_0, q_0)``, where an SDE of weak order 2 starts; and, later, the slow variable itself.

    Memory that starts at 0, as a momentum buffer does, first has to fill: training that begins at ``x_0`` goes on as
    if the flow had begun a little before. With ``x_n`` and ``q_n`` in place of ``x_0`` and ``q_0`` it is the slow
    variable ``x + eta chi(x, q)``, of which the SDE's law is that of the training from the first step on; of ``x`` it
    is after the initial layer, some multiples of the memory's length.

    Args:
        sde: from :func:`derive` or :func:`truncate`; of a rule without memory the start is ``x_0``.
        landscape: the family of losses.
        x0: ``(d,)`` or ``(n, d)``, of an SDE of several blocks their components one after the other.
        eta: learning rate, and not the effective rate.
        rho: perturbation radius.
        memory: the blocks that are averaged over, by name, of the same shape; None: 0.
        values: of the rule's other parameters and directions.
        time: at which schedules are read.

    Raises:
        InputError: a block of memory that the recursion has not, or that the SDE itself moves; a symbol without value.

    Example:
        Heavy ball with factor 1/2 from rest, ``f = x^2``: one step's way of the flow, ``2 eta f'``, back:

        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive
        >>> from eigensam.sde.rules.recursion import Recursion
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> sde = derive(Recursion("momentum", parse_statements("m = 1/2*m + g; x = x - eta*m")), 2, 1)
        >>> f, one = Quadratic([[2.0]], centres=[[0.0]]), torch.ones(1, dtype=torch.float64)
        >>> shifted_start(sde, f, one, eta=0.01, rho=0.0).tolist()
        [1.04]
        >>> shifted_start(sde, f, one, eta=0.01, rho=0.0, memory={"m": 4 * one}).tolist()  # memory is full: E m = 2 f'
        [1.0]
    """
    bound = bind(sde.rule, landscape, rho, values)
    if sde.parts is None:
        if memory:
            raise InputError(f"rule '{sde.rule.name}' has no memory; leave {', '.join(memory)} out")
        return x0
    if unknown := sorted((memory or {}).keys() - set(sde.parts.fast)):
        known = ", ".join(sde.parts.fast) or "none"
        raise InputError(
            f"recursion '{sde.rule.name}' does not average over {', '.join(unknown)}; its fast blocks are {known}"
        )
    if not sde.parts.fast:
        return x0
    blocks = {name: _points((memory or {}).get(name), x0, landscape.dim) for name in sde.parts.fast}
    count = max(1, math.ceil(1 / sde.rho_exponent))
    known_values = {**bound, **schedule_values(sde, time), **blocks}
    chi = compile_corrector_code(sde, count)(landscape, x0[..., None, :], rho, known_values)
    found: Tensor = x0 + eta * chi.expand(*x0.shape[:-1], 1, x0.shape[-1]).squeeze(-2)
    return found


def sde_start(
    sde: SDE,
    landscape: Landscape,
    x0: Tensor,
    eta: float,
    rho: float,
    *,
    memory: Mapping[str, Tensor] | None = None,
    values: Values | None = None,
) -> Any:
    """Where the SDE of a training that starts at ``x_0`` is started: a position, or all slow blocks by name.

    At weak order 1, without a correction, that is where the training starts.

    Arguments and errors as of :func:`shifted_start`; memory that is not given is 0, slow or fast.

    Example:
        Friction of the size of ``eta`` makes position and momentum both slow:

        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive
        >>> from eigensam.sde.rules.recursion import Recursion
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> sde = derive(Recursion("friction", parse_statements("m = m + 2*eta*(-1*g - m); x = x + eta*m")), 2, 1)
        >>> sde_start(sde, Quadratic([[2.0]], centres=[[0.0]]), torch.ones(1, dtype=torch.float64), eta=0.01, rho=0.0)
        {'x': tensor([1.], dtype=torch.float64), 'm': tensor([0.], dtype=torch.float64)}
    """
    if not isinstance(sde.rule, Recursion):
        return shifted_start(sde, landscape, x0, eta, rho, memory=memory, values=values)
    blocks = blocks_at(sde.rule, x0, memory)
    blocks = blocks if isinstance(blocks, Mapping) else {POSITION: blocks}
    flat = torch.cat([blocks[name] for name in sde.blocks], -1)
    fast = {name: block for name, block in blocks.items() if name not in sde.blocks}
    found = flat
    if sde.correction_order:
        found = shifted_start(sde, landscape, flat, eta, rho, memory=fast, values=values)
    return found if len(sde.blocks) == 1 else dict(zip(sde.blocks, found.chunk(len(sde.blocks), -1), strict=True))


def _points(given: Tensor | None, x: Tensor, dim: int) -> Tensor:
    """A block of memory with an axis for minibatches."""
    block = torch.zeros_like(x[..., :dim]) if given is None else given
    if block.shape[-1:] != (dim,) or (block.ndim > 1 and block.shape[:-1] != x.shape[:-1]):
        raise InputError(
            f"a block of memory has shape {tuple(block.shape)}; expected ({dim},), or a row for each point"
        )
    return block.to(x)[..., None, :]
