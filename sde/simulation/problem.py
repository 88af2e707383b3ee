"""An SDE to simulate: drift and diffusion as functions of one point, the calculus, the kind of noise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .scheme import Calculus, Noise

__all__ = ["SDEProblem"]

Function = Callable[[Tensor, Any], Any]


@dataclass(frozen=True)
class SDEProblem:
    """``dX = b(t, X) dt + G(t, X) dW``.

    Args:
        drift: ``b(t, x)``, shape ``(d,)``, at one point ``x`` of shape ``(d,)``.
        diffusion: ``G(t, x)``, shape ``(d, m)``; ``m`` may differ from ``d``.
        noise: what is known of ``G``: "additive" (it does not depend on ``x``), "scalar" (``m = 1``), "diagonal"
            (``m = d``, and ``G`` is a diagonal matrix whose entry ``i`` depends on ``x_i`` and ``t`` alone), "commuting"
            (``sum_l G_lj d_l G_ik`` is symmetric in ``j, k``) or "general".
        calculus: "ito" or "stratonovich".
    """

    drift: Function
    diffusion: Function
    noise: Noise = "general"
    calculus: Calculus = "ito"
