"""How many steps a horizon takes."""

import math

from ...ground.errors import InputError

__all__ = ["whole_steps"]


def whole_steps(horizon: float, dt: float, *, horizon_name: str = "the horizon", dt_name: str = "dt") -> int:
    """``T / dt``, refused unless it is a whole number of at least 1.

    Args:
        horizon: ``T``.
        dt: length of a step.
        horizon_name: in messages.
        dt_name: in messages.

    Raises:
        InputError: ``dt`` does not divide it, or one of them is not positive.

    Example:
        >>> whole_steps(2.0, 0.01)
        200
    """
    for name, value, example in ((horizon_name, horizon, "1"), (dt_name, dt, "1/8")):
        if not 0 < value < math.inf:
            raise InputError(f"{name} = {value:g} is not a positive time; give e.g. {example}")
    steps = round(horizon / dt)
    if steps < 1 or not math.isclose(steps * dt, horizon, rel_tol=1e-9):
        raise InputError(
            f"{dt_name} = {dt:g} does not divide {horizon_name} = {horizon:g}, which has {horizon / dt:g} of it; use "
            f"e.g. {dt_name} = {horizon / max(steps, 1):.12g}"
        )
    return steps
