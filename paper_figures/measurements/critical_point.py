"""SAM near a critical point of a minibatch: the constant of the order grows until nothing of the order is left.

The theorem assumes that ``|g|`` is bounded away from 0. At distance ``r`` from a point where the gradient of one
minibatch vanishes, ``g / |g|`` turns within a length ``r``. Steps longer than that leave nothing of the order: the
assumption check of :func:`divisors` finds that ``|g|`` changes by more than itself. Shorter ones are not enough: the
first term that ``b_1`` leaves out is of size ``rho^2 / r``, and ``eta^2 rho^2 / r`` with ``rho ~ eta^(2/3)`` is below
the ``eta^3`` of the order only for ``eta < r^3``, up to a constant.
"""

from typing import Any

import torch

from ...landscapes.analytic.quadratic import Quadratic
from ...sde.derivation.derived_sde import derive
from ...sde.rules.finding import find_memoryless
from ...sde.weak_order.claim import Progress
from ...sde.weak_order.divisor_check import divisors
from ...sde.weak_order.one_step import verify_one_step

__all__ = ["CRITICAL_ETAS", "DISTANCES", "measure_critical_point"]

DISTANCES: tuple[float, ...] = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
CRITICAL_ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(2, 31, 2))


def measure_critical_point(progress: Progress = lambda done, total: None) -> list[dict[str, Any]]:
    """Local errors of SAM's order-2 SDE at ``beta = 2/3``, by distance, and what the assumption check says.

    Returns:
        Per distance: ``etas``, ``errors``, ``slopes`` and ``change``, the relative change of ``|g|`` in one step, by
        step size: the assumption check of :func:`divisors`.
    """
    f = Quadratic([[2.0, 0.5], [0.5, 1.0]], centres=[[0.0, 0.0], [1.0, 1.0]])
    sde = derive(find_memoryless("sam"), 2, "2/3")
    result = []
    for index, distance in enumerate(DISTANCES):
        x = distance * torch.tensor([[0.6, 0.8]], dtype=torch.float64)
        found = verify_one_step(sde, landscape=f, points=x, etas=CRITICAL_ETAS)
        change = [divisors(sde.memoryless, f, x[:, None], 0.8 * eta ** (2 / 3), eta)[0].change for eta in CRITICAL_ETAS]
        result.append(
            {
                "distance": distance,
                "etas": found.etas,
                "errors": found.errors,
                "slopes": found.slopes,
                "change": change,
                "expected": found.expected,
            }
        )
        progress(index + 1, len(DISTANCES))
    return result
