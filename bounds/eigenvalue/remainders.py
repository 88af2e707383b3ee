"""What Taylor's formula leaves out of a Gaussian expectation, rounded outward (theory, section 6)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, SupportsFloat

from ...ground.errors import InputError
from ..rounding.arguments import check_dim
from ..rounding.intervals import Intervals, intervals, upper_end
from ..rounding.real import real_number

__all__ = ["REMAINDERS", "Remainder", "remainder", "third_partials_moment"]


@dataclass(frozen=True)
class Remainder:
    """One way to bound the remainder: a constant of the loss times a moment of the Gaussian.

    Attributes:
        constant: what multiplies the moment, as field of :class:`Curvature`.
        power: of sigma.
        moment: of ``N(0, I_d)``: a function of intervals and ``d``.
        sampled: whether the constant is an average at one point, so that not even a proved value makes this a bound.
    """

    constant: str
    power: int
    moment: Callable[[Intervals, int], Any]
    sampled: bool = False

    def interval(self, iv: Intervals, dim: int, sigma: Any, constant: float) -> Any:
        """Holds ``constant moment sigma^power / power!``."""
        return constant * sigma**self.power * self.moment(iv, dim) / math.factorial(self.power)


def _third_moment(iv: Intervals, dim: int) -> Any:
    """``E|z|^3``; a quotient of gamma functions, whose logarithms would lose nine digits at ``d = 10^7``."""
    half = iv.real(dim) / 2
    return iv.sqrt(iv.real(8)) * iv.gamma(half + 1.5) / iv.gamma(half)


def _third_partials(iv: Intervals, dim: int) -> Any:
    """``E (sum_i |z_i|)^3``, with ``E|z| = sqrt(2/pi)`` and ``E|z|^3 = 2 sqrt(2/pi)`` for each entry."""
    d, mean = iv.real(dim), iv.sqrt(2 / iv.pi)
    return mean * (2 * d + 3 * d * (d - 1) + d * (d - 1) * (d - 2) * (2 / iv.pi))


REMAINDERS: Mapping[str, Remainder] = {
    "K_4": Remainder("fourth_derivative", 4, lambda iv, dim: iv.real(dim) * (dim + 2)),
    "K_3": Remainder("hessian_lipschitz", 3, _third_moment),
    "C": Remainder("third_partial", 3, _third_partials),
    "M_4": Remainder("fourth_moment", 4, lambda iv, dim: iv.real(1), sampled=True),
}
"""By the name of their constant; how each follows: :func:`remainder`."""


def third_partials_moment(dim: int) -> float:
    """``E (sum_i |z_i|)^3 / (6 d^3)``, rounded up: what stands before ``C d^3 sigma^3`` in the paper's form.

    It falls from ``sqrt(2/pi)/3 = 0.266`` at ``d = 1`` to ``(2/pi)^{3/2}/6 = 0.0847``. The ``1/6`` of Taylor's formula
    alone is too small at ``d = 1``, as ``E|z|^3 = 1.596`` exceeds 1, and larger than needed from ``d = 2`` on.

    Example:
        >>> round(third_partials_moment(1), 4), round(third_partials_moment(10**6), 4)
        (0.266, 0.0847)
    """
    dim, iv = check_dim(dim), intervals()
    return upper_end(_third_partials(iv, dim) / iv.real(dim) ** 3 / 6)


def remainder(
    dim: int,
    sigma: SupportsFloat,
    fourth_derivative: SupportsFloat | None = None,
    hessian_lipschitz: SupportsFloat | None = None,
    third_partial: SupportsFloat | None = None,
) -> float:
    """Smallest available bound of ``|E f(x + e) - f(x) - sigma^2/2 tr H|``, ``e ~ N(0, sigma^2 I_d)``, rounded up.

    - fourth derivative at most ``K_4``: ``(K_4/24) sigma^4 d (d+2)``, the odd cubic moment being zero;
    - Hessian ``K_3``-Lipschitz: ``(K_3/6) sigma^3 2^{3/2} Gamma((d+3)/2) / Gamma(d/2)``, the third moment of ``|e|``;
    - every third partial derivative at most ``C``, as in the paper: ``(C/6) E (sum_i |e_i|)^3``, which is
      :func:`third_partials_moment` times ``C d^3 sigma^3``.

    Each constant must hold wherever ``x + e`` may be, which is everywhere; its value at ``x`` is not enough.

    Args:
        dim: ``d >= 1``.
        sigma: standard deviation, positive.
        fourth_derivative: ``K_4 >= 0`` in operator norm, or None.
        hessian_lipschitz: ``K_3 >= 0``, or None.
        third_partial: ``C >= 0``, or None.

    Raises:
        InputError: an argument out of range, or no constant.

    Reference:
        The paper, Theorem 4.1 (form ``C``).

    Example:
        >>> remainder(2, 1.0, fourth_derivative=3.0)
        1.0
    """
    dim, iv = check_dim(dim), intervals()
    scale = real_number("sigma", sigma, "up")
    if not 0 < scale < math.inf:
        raise InputError(f"sigma = {sigma} is not positive and finite; give a standard deviation")
    given = {"K_4": fourth_derivative, "K_3": hessian_lipschitz, "C": third_partial}
    constants = {name: _constant(name, value) for name, value in given.items() if value is not None}
    if not constants:
        raise InputError("no bound on a higher derivative was given; give fourth_derivative or hessian_lipschitz")
    found = [REMAINDERS[name].interval(iv, dim, iv.real(scale), value) for name, value in constants.items()]
    return min(map(upper_end, found))


def _constant(name: str, value: SupportsFloat) -> float:
    number = real_number(name, value, "up")
    if not 0 <= number < math.inf:
        raise InputError(f"{name} = {value}: bounds of derivatives are not negative, and finite; measure them again")
    return number
