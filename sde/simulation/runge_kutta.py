"""The classical Runge-Kutta method: a local error of order 5, a global one of order 4.

Arithmetic on arrays alone, so it serves tensors and arrays of multi-precision numbers alike.
"""

from collections.abc import Callable
from typing import Any

__all__ = ["runge_kutta_step", "timed_runge_kutta_step"]


def runge_kutta_step(drift: Callable[[Any], Any], x: Any, time: Any) -> Any:
    """Move ``x`` along the flow of ``dx/dt = b(x)`` over a short time.

    Example:
        >>> round(runge_kutta_step(lambda x: -x, 1.0, 0.1), 6)
        0.904837
    """
    return timed_runge_kutta_step(lambda _, y: drift(y), 0, x, time)


def timed_runge_kutta_step(drift: Callable[[Any, Any], Any], t: Any, x: Any, time: Any) -> Any:
    """Move ``x`` at ``t`` along the flow of ``dx/dt = b(t, x)`` over a short time.

    Example:
        >>> round(timed_runge_kutta_step(lambda t, x: 5 * t**4, 0.0, 0.0, 1.0), 6)  # Simpson's rule; the truth is 1
        1.041667
    """
    half = time / 2
    k1 = drift(t, x)
    k2 = drift(t + half, x + half * k1)
    k3 = drift(t + half, x + half * k2)
    k4 = drift(t + time, x + time * k3)
    return x + time / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
