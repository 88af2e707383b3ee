"""The binary relative entropy, and its inverse to the last bit, rounded outward."""

import math
from typing import Any, Literal, SupportsFloat

from ...ground.errors import InputError
from ..rounding.intervals import Intervals, intervals, nearest_float
from ..rounding.real import real_number
from .float_search import first_float, halved

__all__ = ["binary_kl", "kl_inverse", "quick_kl", "quick_kl_inverse", "unit_number"]

Side = Literal["upper", "lower"]


def unit_number(name: str, value: SupportsFloat, rounding: Literal["up", "down"] = "up") -> float:
    """Refuse what is no probability, or no mean of losses in [0, 1]; what is not a float is rounded."""
    ends = {direction: real_number(name, value, direction) for direction in ("down", "up")}
    if not (ends["down"] >= 0 and ends["up"] <= 1):  # also refuses NaN
        raise InputError(f"{name} = {value} is not a probability; divide the loss by its upper bound first")
    return ends[rounding]


def binary_kl(q: SupportsFloat, p: SupportsFloat) -> float:
    """``kl(q || p) = q ln(q/p) + (1-q) ln((1-q)/(1-p))``, infinite where ``p`` rules out what ``q`` allows.

    The float nearest to it, whatever cancels: evaluated in intervals of as many bits as it takes to know that float.

    Args:
        q: empirical probability, in [0, 1].
        p: true probability, in [0, 1].

    Raises:
        InputError: not a real number in [0, 1].

    Example:
        >>> round(binary_kl(0.5, 0.25), 6)
        0.143841
        >>> binary_kl(0.1, 0.0)
        inf
    """
    q, p = unit_number("q", q), unit_number("p", p)
    if q == p:
        return 0.0
    if p in (0, 1):
        return math.inf
    bits = 128
    while True:
        kl = _kl(intervals(bits), q, p)
        if (value := nearest_float(kl.a)) == nearest_float(kl.b):
            return value
        bits *= 2


def quick_kl(q: float, p: float) -> float:
    """``kl(q || p)`` in floats, to about 1e-14 where nothing underflows: a hint, never a proof.

    Where the two terms of its definition cancel, two others, which are not negative, take their place.
    """
    return _share(q, p, p - q) + _share(1 - q, 1 - p, q - p)


def quick_kl_inverse(q: float, c: float, end: float) -> float:
    """About where, on the way from ``q`` to ``end`` (0 or 1), ``kl(q || .)`` reaches ``c``: a hint, never a proof."""
    return halved(lambda p: quick_kl(q, p) >= c, q, end)


def _share(a: float, b: float, difference: float) -> float:
    """``a ln(a/b) + b - a >= 0`` for ``difference = b - a``; the two shares of ``kl`` add up to it."""
    if a == 0:
        return difference
    if b == 0:
        return math.inf
    t = difference / a
    if abs(t) < 0.1:  # t - ln(1 + t) by its series; the first term left out is below 1e-19 of the first one
        return a * sum((-t) ** k / k for k in range(2, 22))
    if abs(t) < 0.5:
        return a * (t - math.log1p(t))
    return difference - a * (math.log(b) - math.log(a))  # b/a may overflow


def _kl(iv: Intervals, q: float, p: float) -> Any:
    """An interval that holds ``kl(q || p)``, for ``0 < p < 1``."""
    a, b = iv.real(q), iv.real(p)
    first = a * iv.log(a / b) if q > 0 else iv.real(0)
    return first + ((1 - a) * iv.log((1 - a) / (1 - b)) if q < 1 else 0)


def _reaches(q: float, p: float, c: float) -> bool:
    """Whether ``kl(q || p) >= c``, decided without error, for ``0 < p < 1``, ``p != q`` and finite ``c > 0``.

    The precision doubles until the interval lies on one side of ``c``. That ends: ``q``, ``p`` and ``c`` are rational,
    so that some whole multiple of ``kl(q || p)`` is the logarithm of a rational number, which is 0 or transcendental
    (Lindemann), and never that multiple of ``c``.
    """
    bits = 128
    while True:
        kl = _kl(intervals(bits), q, p)
        if kl.a >= c:
            return True
        if kl.b < c:
            return False
        bits *= 2


def kl_inverse(q: SupportsFloat, c: SupportsFloat, *, side: Side = "upper") -> float:
    """Upper inverse ``sup {p : kl(q || p) <= c}`` or lower inverse ``inf {p : kl(q || p) <= c}``, rounded outward.

    The upper inverse is the least float ``r`` with ``kl(q || r) >= c`` in exact arithmetic (or 1), the lower one the
    greatest (or 0): as ``kl(q || .)`` falls before ``q`` and rises after it, no float is closer to the true inverse
    without passing it. Each comparison is made in intervals of as many bits as it takes, so that this holds for all
    floats, subnormal ones included. Other numbers are first rounded to floats so that the result moves outward.

    Args:
        q: empirical probability, in [0, 1]; any real scalar.
        c: right-hand side, at least 0; infinite gives 1 (0).
        side: ``upper`` or ``lower``.

    Raises:
        InputError: arguments out of range or not real scalars.

    Reference:
        Langford & Seeger 2001; Maurer 2004.

    Example:
        >>> r = kl_inverse(0.1, 0.05)
        >>> round(r, 6), binary_kl(0.1, r) >= 0.05
        (0.220079, True)
        >>> round(kl_inverse(0.1, 0.05, side="lower"), 6)
        0.031278
    """
    if side not in ("upper", "lower"):
        raise InputError(f"unknown side '{side}'; choose one of: upper, lower")
    end = 1.0 if side == "upper" else 0.0
    q = unit_number("q", q, "up" if side == "upper" else "down")
    c = real_number("c", c, "up")
    if not c >= 0:
        raise InputError(f"c = {c} is negative; a relative entropy is at least 0")
    if q == end or c == math.inf:
        return end
    if c == 0:
        return q
    return first_float(lambda p: _reaches(q, p, c), q, end, guess=quick_kl_inverse(q, c, end))
