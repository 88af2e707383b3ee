"""Values for the symbols of a rule, checked before anything is computed with them."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...ground.errors import InputError
from .recursion import Recursion
from .rule import Rule

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape

__all__ = ["Values", "bind"]

Values = Mapping[str, float | Tensor]
"""Numbers for a rule's parameters, and unit vectors of shape ``(d,)`` for its frozen directions."""

_UNIT = 1e-3  # of a direction's length: a norm summed in float32 is off by 5e-5 with 1e5 parameters


def bind(
    rule: Rule | Recursion, landscape: "Landscape", rho: float, values: Values | None
) -> dict[str, float | Tensor]:
    """Check that each symbol of a rule has a value of the right kind, and no other name has one.

    Raises:
        InputError: an unbound or unknown symbol, a number that is not positive, a direction of wrong shape or length.
    """
    given = dict(values or {})
    result: dict[str, float | Tensor] = {"rho": float(rho)}
    if not math.isfinite(rho):
        raise InputError(f"rho = {rho} is not finite")
    for name in rule.parameters:
        if name not in given:
            raise InputError(
                f"rule '{rule.name}': the symbol {name} is unbound; give values={{'{name}': a number}} "
                f"(--value {name}=0.2 on the command line)"
            )
        try:
            number = float(given[name])
        except (TypeError, ValueError, RuntimeError):
            number = math.nan
        if not 0 < number < math.inf:
            raise InputError(f"rule '{rule.name}': {name} = {given[name]} is not a positive number")
        result[name] = number
    for name in rule.directions:
        if name not in given:
            raise InputError(
                f"rule '{rule.name}': the direction {name} is unbound; give values={{'{name}': a unit vector of shape "
                f"({landscape.dim},)}}, e.g. a top eigenvector (--value {name}=1,0 on the command line)"
            )
        vector = torch.as_tensor(given[name])
        length = (
            float(torch.linalg.vector_norm(vector, dtype=torch.float64)) if vector.is_floating_point() else math.nan
        )
        if vector.shape != (landscape.dim,) or not abs(length - 1) < _UNIT:
            raise InputError(
                f"rule '{rule.name}': the direction {name} has shape {tuple(vector.shape)}, {vector.dtype}, and length "
                f"{length:.6g}; expected floats of shape ({landscape.dim},) and length 1"
            )
        result[name] = (vector / length).to(landscape.device, landscape.dtype)
    known = {*rule.parameters, *rule.directions}
    if unknown := sorted(given.keys() - known):
        names = ", ".join(sorted(known)) or "none but rho"
        raise InputError(f"rule '{rule.name}' has no symbol {', '.join(unknown)}; it has {names}")
    return result
