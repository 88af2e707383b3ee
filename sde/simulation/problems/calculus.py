"""Ito or Stratonovich: one SDE's drift in either calculus, by derivatives of its diffusion."""

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache, reduce
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp

from ....ground.errors import InputError
from ..scheme import Calculus
from .problem import SDEProblem

__all__ = ["change_along", "converted", "load_forward_rules", "noise_along_itself"]

Diffusion = Callable[[Tensor, Any], Any]


@cache
def load_forward_rules() -> None:
    """Load torch's rules of forward derivatives without the warning that torch gives of itself, with which it compiles
    them when the first is needed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        with contextlib.suppress(ImportError):  # its place is torch's own
            import torch._decomp.decompositions_for_jvp  # noqa: F401


def change_along(diffusion: Diffusion, t: Tensor, x: Tensor, direction: Tensor) -> Tensor:
    """``sum_l v_l d_l G``, the diffusion's derivative along a direction ``v`` of shape ``(d,)``: shape ``(d, m)``.

    The dual numbers are made of copies: torch makes none of a batch whose points share memory.
    """
    load_forward_rules()
    result: Tensor = jvp(lambda y: diffusion(t, y), (x.clone(),), (direction.clone(),))[1]
    return result


def noise_along_itself(diffusion: Diffusion, t: Tensor, x: Tensor) -> Tensor:
    """``sum_j (dG_j) G_j``: how each column of ``G`` changes along itself, shape ``(d,)``.

    Args:
        diffusion: ``G(t, x)``, shape ``(d, m)``.
        t: time, without a shape.
        x: point, shape ``(d,)``.

    Example:
        >>> import torch
        >>> noise_along_itself(lambda t, x: 3 * x[:, None], torch.tensor(0.0), torch.tensor([2.0])).tolist()
        [18.0]
    """
    columns = enumerate(diffusion(t, x).unbind(1))
    changes = (change_along(diffusion, t, x, column)[:, j] for j, column in columns)
    return reduce(torch.add, changes, torch.zeros_like(x))


def converted(problem: SDEProblem, calculus: Calculus) -> SDEProblem:
    """The problem of the other calculus that has the same solution.

    The Stratonovich drift is the Ito drift less ``1/2 sum_j (dG_j) G_j`` (Kloeden and Platen 1992, section 4.9).

    Args:
        problem: of either calculus.
        calculus: wanted.

    Returns:
        The problem itself if it is of this calculus already.

    Raises:
        InputError: functions for batches; when it is simulated, a state of blocks.

    Example:
        The Ito equation ``dX = X dW`` is ``dX = -X/2 dt + X o dW``:

        >>> import torch
        >>> from eigensam.sde.simulation.problems.problem import SDEProblem
        >>> ito = SDEProblem(lambda t, x: 0 * x, lambda t, x: x[:, None], "scalar")
        >>> converted(ito, "stratonovich").drift(torch.tensor(0.0), torch.tensor([2.0])).tolist()
        [-1.0]
    """
    if calculus == problem.calculus:
        return problem
    diffusion = problem.diffusion
    if diffusion is None:
        return replace(problem, calculus=calculus)
    if problem.batched:
        raise InputError("a problem for batches cannot be converted; write its functions for one point")
    share = 0.5 if calculus == "ito" else -0.5

    def drift(t: Tensor, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise InputError("a problem with a state of blocks cannot be converted; write it for one vector")
        result: Tensor = problem.drift(t, x) + share * noise_along_itself(diffusion, t, x)
        return result

    return replace(problem, drift=drift, calculus=calculus)
