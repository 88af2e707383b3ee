"""The binary relative entropy and its inverse, rounded outward so that floating point never breaks a bound."""

import math

from ..landscapes import InputError

__all__ = ["binary_kl", "kl_inverse"]


def _probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:  # also refuses NaN
        raise InputError(f"{name} = {value} is not a probability; divide the loss by its upper bound first")


def binary_kl(q: float, p: float) -> float:
    """``kl(q || p) = q ln(q/p) + (1-q) ln((1-q)/(1-p))``, infinite where ``p`` rules out what ``q`` allows.

    Near ``q = p`` these two terms cancel; they are rearranged into two positive ones, so that the relative error
    stays of the order of the rounding unit.

    Args:
        q: empirical probability, in [0, 1].
        p: true probability, in [0, 1].

    Example:
        >>> round(binary_kl(0.5, 0.25), 6)
        0.143841
        >>> binary_kl(0.1, 0.0)
        inf
    """
    _probability("q", q)
    _probability("p", p)
    if q == p:
        return 0.0
    if (p == 0 and q > 0) or (p == 1 and q < 1):
        return math.inf
    # With psi(t) = t - ln(1 + t) >= 0: kl = q psi((p-q)/q) + (1-q) psi((q-p)/(1-q)), two terms without cancellation.
    first = q * _psi((p - q) / q, p / q) if q > 0 else p
    second = (1 - q) * _psi((q - p) / (1 - q), (1 - p) / (1 - q)) if q < 1 else 1 - p
    return first + second


def _psi(t: float, one_plus_t: float) -> float:
    """``t - ln(1 + t)`` to a few dozen rounding units: by its series, by log1p, by log of the given ``1 + t``."""
    if abs(t) < 0.1:  # the first term left out is below 1e-19 of the first one
        return sum((-t) ** k / k for k in range(2, 22))
    if abs(t) < 0.5:
        return t - math.log1p(t)
    return t - math.log(one_plus_t) if one_plus_t > 0 else math.inf


def kl_inverse(q: float, c: float) -> float:
    """Upper inverse ``sup {p : kl(q || p) <= c}``, rounded outward.

    The returned ``r >= q`` satisfies ``kl(q || r) >= c`` in floating point (or ``r = 1``), so using it as an upper
    bound never claims too much; ``c`` is first raised by 64 units in its last place, which exceeds the rounding error
    of ``binary_kl``, so that ``kl(q || r) >= c`` also holds in exact arithmetic. ``kl_inverse(1, c) = 1``.

    Args:
        q: empirical probability, in [0, 1].
        c: right-hand side, at least 0; infinite gives 1.

    Raises:
        InputError: arguments out of range.

    Reference:
        Maurer 2004; Langford & Caruana 2002.

    Example:
        >>> r = kl_inverse(0.1, 0.05)
        >>> round(r, 6), binary_kl(0.1, r) >= 0.05
        (0.220079, True)
    """
    _probability("q", q)
    if not c >= 0:
        raise InputError(f"c = {c} is negative; a relative entropy is at least 0")
    if q == 1 or c == math.inf:
        return 1.0
    if c == 0:
        return q
    c += 64 * math.ulp(c)  # more than binary_kl's own rounding error
    low, high = q, 1.0  # kl(q || low) < c <= kl(q || high), kl(q || 1) being infinite
    while True:
        middle = low + (high - low) / 2
        if not low < middle < high:  # neighbouring floats: high is the outward one
            return high
        if binary_kl(q, middle) < c:
            low = middle
        else:
            high = middle
