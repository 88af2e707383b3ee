"""An SDE to simulate: drift and diffusion as functions, the calculus, and what is known of the noise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from torch import Tensor

from ....ground.errors import InputError
from ..given_numbers import finite_number
from ..scheme import Calculus, Noise

__all__ = ["SDEProblem"]

Function = Callable[[Tensor, Any], Any]


@dataclass(frozen=True)
class SDEProblem:
    """``dX = b(t, X) dt + G(t, X) dW`` with ``m`` independent Brownian motions ``W``.

    Nothing is known of dimensions before there is a start: ``simulate`` finds ``d`` and ``m`` there.

    Args:
        drift: ``b(t, x)``, shape ``(d,)``, at a time without a shape and one point ``x`` of shape ``(d,)``, in torch
            operations whose course does not depend on numbers.
        diffusion: ``G(t, x)``, shape ``(d, m)``; ``m`` may differ from ``d``. None: no noise.
        noise: what is known of ``G``, which schemes ask for and ``simulate`` checks near the start: "additive" (``G``
            does not depend on ``x``), "scalar" (``m = 1``), "diagonal" (``m = d``, and ``G`` is a diagonal matrix whose
            entry ``i`` depends on ``t`` and ``x_i`` alone: ``torch.diag``), "commuting" (``sum_l G_lj d_l G_ik`` is the
            same for ``j, k`` and ``k, j``), or "general".
        calculus: "ito" or "stratonovich".
        batched: whether the functions take points of shape ``(n, d)`` to shapes ``(n, d)`` and ``(n, d, m)``.
        t0: time of the start.

    A state may be a structure: with a start ``{"x": ..., "m": ...}`` both functions are given a dictionary of points of
    these names and return one; blocks that the diffusion leaves out have no noise.

    Raises:
        InputError: an unknown kind of noise or calculus, something that is no function, a time that is no number.

    Example:
        Geometric Brownian motion:

        >>> problem = SDEProblem(lambda t, x: 0.5 * x, lambda t, x: 0.2 * x[:, None], noise="scalar")
        >>> problem.calculus
        'ito'
    """

    drift: Function
    diffusion: Function | None
    noise: Noise = "general"
    calculus: Calculus = "ito"
    batched: bool = False
    t0: float = 0.0

    def __post_init__(self) -> None:
        for name, kinds in (("noise", get_args(Noise)), ("calculus", get_args(Calculus))):
            if getattr(self, name) not in kinds:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; choose one of: {', '.join(kinds)}")
        for name in ("drift", "diffusion"):
            function = getattr(self, name)
            if not callable(function) and not (name == "diffusion" and function is None):
                raise InputError(f"the {name} is of type {type(function).__name__}; give a function of t and x")
        object.__setattr__(self, "t0", finite_number("t0", self.t0))  # one of numpy as Python's
