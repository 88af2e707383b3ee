"""Whether what a recursion divides by stays away from zero all over a torus."""

import torch

from ...ground.errors import InputError
from ..rules.leaves import POSITION
from .divisor_check import Divisor
from .recursion_divisors import recursion_divisor_values, recursion_divisors
from .recursion_torus_errors import RecursionTorus
from .torus_grid import TorusGrid

__all__ = ["torus_divisors"]

_FINE = {1: (31, 301, 3001), 2: (31, 91, 271)}  # grids on which a zero is looked for, until one clears


def torus_divisors(torus: RecursionTorus) -> list[Divisor]:
    """What it divides by, with memory 0.

    Raises:
        InputError: it may vanish between the points of every grid.
    """
    law, f, recursion = torus.claim, torus.landscape, torus.recursion
    eta = law.etas[0]

    def blocks(resolution: int) -> dict[str, torch.Tensor]:
        x = TorusGrid(f.dim, resolution).points[:, None]
        return {POSITION: x} | {name: torch.zeros_like(x) for name in torus.fast}

    sizes = _FINE[f.dim]
    found = recursion_divisors(recursion, f, blocks(sizes[0]), law.rho(eta), eta / torus.rate, law.values)
    doubt = ""
    for resolution in sizes:
        doubt = ""
        values = recursion_divisor_values(recursion, f, blocks(resolution), law.rho(eta), eta / torus.rate, law.values)
        for name, value in values.items():
            size = value.reshape(*[resolution] * f.dim, -1)
            along = [torch.maximum(*((size - size.roll(s, i)).abs() for s in (1, -1))) for i in range(f.dim)]
            gap = size.abs() - torch.linalg.vector_norm(torch.stack(along), dim=0)
            if not gap.min() > 0:
                doubt = (
                    f"recursion '{recursion.name}' needs {name} away from 0, which is "
                    f"{float(size.abs().flatten()[int(gap.argmin())]):.3g} at a point of a grid: it vanishes nearby, "
                    "or cannot be told from zero, and the recursion is not smooth there, as the theorem assumes; give "
                    "tilts that exceed the ripples (TiltedTorus.gradient_floor > 0), or verify at points away from "
                    "critical ones with verify_one_step"
                )
        if not doubt:
            return found
    raise InputError(doubt)
