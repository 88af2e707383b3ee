"""Values for the symbols of a rule, checked before anything is computed with them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...landscapes import InputError, Landscape
from .rules import Rule

__all__ = ["Values", "bind"]

Values = Mapping[str, float | Tensor]
"""Numbers for a rule's parameters, and unit vectors of shape ``(d,)`` for its frozen directions."""

_UNIT = 1e-3  # of a direction's length: a norm summed in float32 is off by 5e-5 with 1e5 parameters


def bind(rule: Rule, landscape: Landscape, rho: float, values: Values | None) -> dict[str, float | Tensor]:
    """Check that each symbol of a rule has a value of the right kind, and no other name has one.

    Raises:
        InputError: an unbound or unknown symbol, a number that is not positive, a direction of wrong shape or length.
    """
    values = dict(values or {})
    for name in rule.parameters:
        value = values.get(name)
        if value is None:
            raise InputError(f"rule '{rule.name}': the symbol {name} is unbound; give values={{'{name}': a number}}")
        if isinstance(value, Tensor) or not 0 < value < float("inf"):
            raise InputError(f"rule '{rule.name}': {name} = {value} is not a positive number")
    for name in rule.directions:
        vector = values.get(name)
        if not isinstance(vector, Tensor):
            raise InputError(
                f"rule '{rule.name}': the direction {name} is unbound; give values={{'{name}': a unit vector of shape "
                f"({landscape.dim},)}}, e.g. a top eigenvector"
            )
        length = float(torch.linalg.vector_norm(vector, dtype=torch.float64))
        if vector.shape != (landscape.dim,) or not abs(length - 1) < _UNIT:
            raise InputError(
                f"rule '{rule.name}': the direction {name} has shape {tuple(vector.shape)} and length {length:.6g}; "
                f"expected shape ({landscape.dim},) and length 1"
            )
        values[name] = (vector / length).to(landscape.device, landscape.dtype)
    known = {*rule.parameters, *rule.directions}
    if unknown := sorted(values.keys() - known):
        names = ", ".join(sorted(known)) or "none but rho"
        raise InputError(f"rule '{rule.name}' has no symbol {', '.join(unknown)}; it has {names}")
    return values | {"rho": rho}
