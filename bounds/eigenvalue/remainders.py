"""What Taylor's formula leaves out of a Gaussian expectation, rounded outward (theory, section 6)."""

import math
from typing import Any, SupportsFloat

from ...ground.errors import InputError
from ..rounding.arguments import check_dim
from ..rounding.intervals import Intervals, intervals, upper_end
from ..rounding.real import real_number

__all__ = ["remainder", "remainder_intervals"]


def remainder_intervals(iv: Intervals, dim: int, sigma: Any, k4: float | None, k3: float | None) -> dict[float, Any]:
    """Intervals that hold the available remainders, by half their power of sigma: 2 (``K_4``) and 1.5 (``K_3``).

    The third moment is a quotient of gamma functions; their logarithms would lose nine digits at ``d = 10^7``.
    """
    found = {}
    if k4 is not None:
        found[2.0] = k4 * sigma**4 * dim * (dim + 2) / 24
    if k3 is not None:
        half = iv.real(dim) / 2
        found[1.5] = k3 * sigma**3 * iv.sqrt(iv.real(8)) * iv.gamma(half + 1.5) / iv.gamma(half) / 6
    return found


def remainder(
    dim: int,
    sigma: SupportsFloat,
    fourth_derivative: SupportsFloat | None = None,
    hessian_lipschitz: SupportsFloat | None = None,
) -> float:
    """Smallest available bound of ``|E f(x + e) - f(x) - sigma^2/2 tr H|``, ``e ~ N(0, sigma^2 I_d)``, rounded up.

    - fourth derivative at most ``K_4``: ``(K_4/24) sigma^4 d (d+2)``, the odd cubic moment being zero;
    - Hessian ``K_3``-Lipschitz: ``(K_3/6) sigma^3 2^{3/2} Gamma((d+3)/2) / Gamma(d/2)``, the third moment of ``|e|``.

    Args:
        dim: ``d >= 1``.
        sigma: standard deviation, positive.
        fourth_derivative: ``K_4 >= 0`` in operator norm, or None.
        hessian_lipschitz: ``K_3 >= 0``, or None.

    Raises:
        InputError: an argument out of range, or neither constant.

    Example:
        >>> remainder(2, 1.0, fourth_derivative=3.0)
        1.0
    """
    dim, iv = check_dim(dim), intervals()
    scale = real_number("sigma", sigma, "up")
    if not 0 < scale < math.inf:
        raise InputError(f"sigma = {sigma} is not positive and finite; give a standard deviation")
    k4, k3 = _constant("K_4", fourth_derivative), _constant("K_3", hessian_lipschitz)
    if k4 is None and k3 is None:
        raise InputError("no bound on a higher derivative was given; give fourth_derivative or hessian_lipschitz")
    return min(map(upper_end, remainder_intervals(iv, dim, iv.real(scale), k4, k3).values()))


def _constant(name: str, value: SupportsFloat | None) -> float | None:
    if value is None:
        return None
    number = real_number(name, value, "up")
    if not 0 <= number < math.inf:
        raise InputError(f"{name} = {value}: bounds of derivatives are not negative, and finite; measure them again")
    return number
