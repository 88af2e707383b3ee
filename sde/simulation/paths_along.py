"""Paths along Brownian paths that are given: strong errors, coupled schemes, noise from elsewhere."""

from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from .given_numbers import finite_number
from .problems.point import PointProblem
from .problems.problem import SDEProblem
from .problems.state import start_of
from .scheme import SCHEMES
from .user_functions import explained

__all__ = ["paths_along"]


def paths_along(problem: SDEProblem, x0: Any, increments: Tensor, *, dt: float, scheme: str = "euler-maruyama") -> Any:
    """States at all steps, of schemes that follow Brownian paths; everything is in memory.

    A coarser path of the same noise is a sum of neighbours: ``increments.reshape(n, steps // 2, 2, m).sum(2)``.

    Args:
        problem: drift, diffusion, calculus, kind of noise.
        x0: start, shape ``(d,)`` or ``(n, d)``, or blocks of these shapes by name.
        increments: ``W(t_{k+1}) - W(t_k)``, of variance ``dt``, shape ``(n, steps, m)``.
        dt: length of a step.
        scheme: one whose increments are normal.

    Returns:
        Shape ``(n, steps + 1, d)``, or blocks by name; the first state is the start.

    Raises:
        InputError: increments of another shape or type or that are not finite, a scheme whose noise is no Brownian
            path, a problem that it does not solve, functions whose course depends on numbers, paths that explode.

    Example:
        >>> import torch
        >>> brownian = SDEProblem(lambda t, x: 0 * x, lambda t, x: torch.ones_like(x)[:, None], noise="additive")
        >>> paths_along(brownian, torch.zeros(1), torch.tensor([[[0.5], [-0.25]]]), dt=0.1).flatten().tolist()
        [0.0, 0.5, 0.25]
    """
    if not isinstance(problem, SDEProblem):
        raise InputError(f"problem is of type {type(problem).__name__}; expected SDEProblem(...)")
    method = SCHEMES[scheme]
    method.check(scheme, problem.calculus, problem.noise)
    if method.increments != "normal" or method.signs:
        normal = [name for name, each in SCHEMES.items() if each.increments == "normal" and not each.signs]
        raise InputError(f"the scheme '{scheme}' follows no Brownian path; choose one of: {', '.join(normal)}")
    if not isinstance(increments, Tensor) or increments.ndim != 3 or 0 in increments.shape[:2]:
        shape = tuple(increments.shape) if isinstance(increments, Tensor) else type(increments).__name__
        raise InputError(f"increments are {shape}; give a tensor of shape (paths, steps, m)")
    if not bool(increments.isfinite().all()):
        path, number, column = increments.isfinite().logical_not().nonzero()[0].tolist()
        raise InputError(f"increment {column} of path {path} in step {number} is not finite; give finite numbers")
    h = finite_number("dt", dt, "a positive number")
    if h <= 0:
        raise InputError(f"dt = {dt!r}; give a positive number")
    n, steps, m = increments.shape
    start = start_of(x0, n)
    point = PointProblem(problem, start, h * steps)
    if m != point.noise_dim or increments.dtype != point.dtype or increments.device != point.device:
        raise InputError(
            f"increments have shape {tuple(increments.shape)}, {increments.dtype} on {increments.device}; expected "
            f"({n}, {steps}, {point.noise_dim}), {point.dtype} on {point.device}"
        )

    def step(t: Tensor, x: Tensor, dw: Tensor) -> Tensor:
        return method.step(point, t, x, h, dw, x.new_zeros(0))

    states = [start.points.expand(n, -1).clone()]
    repair = "write drift and diffusion in torch operations whose course does not depend on numbers or on chance"
    for k in range(steps):
        t = point.time(problem.t0 + k * h)
        with explained("no step can be taken of all paths together", repair):
            found = torch.func.vmap(step, in_dims=(None, 0, 0))(t, states[-1], increments[:, k]).detach()
        _refuse_explosion(found, k)
        states.append(found)
    return start.structured(torch.stack(states, 1))


def _refuse_explosion(states: Tensor, step: int) -> None:
    lost = ~states.isfinite().all(1)
    number = int(lost.sum())
    if number:
        share = 100 * number / len(lost)
        raise InputError(
            f"{number} of {len(lost)} paths ({share:.3g} %) leave the finite numbers in step {step}, "
            f"the first is path {int(lost.nonzero()[0])}; take smaller steps, or a drift that holds paths back"
        )
