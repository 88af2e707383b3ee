"""The first float on a way that passes a test, found from a good guess with few tests."""

import struct
from collections.abc import Callable

__all__ = ["first_float", "halved"]


def first_float(passes: Callable[[float], bool], start: float, end: float, guess: float) -> float:
    """The float nearest to ``start``, on the way to ``end``, that passes; ``end`` is taken to pass without a test.

    ``start`` itself is taken to fail. The steps from the guess double, then halve: two tests where the guess is right.
    All numbers are at least 0.

    Args:
        passes: the test; once passed it must be passed by all floats that are nearer to ``end``.
        start: where nothing passes yet.
        end: the last resort.
        guess: between ``start`` and ``end``.

    Example:
        >>> first_float(lambda x: x >= 0.1, 0.0, 1.0, guess=0.3)
        0.1
    """
    inner, outer = _rank(start), _rank(end)
    step = 1 if outer > inner else -1
    first, last = inner, outer
    tried = _rank(guess)
    if not min(first, last) <= tried <= max(first, last) or tried == first:
        tried = first + step

    def reached(rank: int) -> bool:
        return rank == last or (rank != first and passes(_ranked(rank)))

    distance = 1
    if reached(tried):
        outer, inner = tried, tried - step
        while reached(inner):
            outer, distance = inner, 2 * distance
            inner = first if abs(inner - first) <= distance else inner - step * distance
    else:
        inner, outer = tried, tried + step
        while not reached(outer):
            inner, distance = outer, 2 * distance
            outer = last if abs(last - outer) <= distance else outer + step * distance
    return halved(passes, _ranked(inner), _ranked(outer))


def halved(passes: Callable[[float], bool], start: float, end: float) -> float:
    """:func:`first_float` by halving alone: no guess, but up to 62 tests, which should be quick ones."""
    inner, outer = _rank(start), _rank(end)
    while abs(outer - inner) > 1:
        middle = (inner + outer) // 2
        inner, outer = (inner, middle) if passes(_ranked(middle)) else (middle, outer)
    return _ranked(outer)


def _rank(value: float) -> int:
    """Number of positive floats up to ``value >= 0``: its bits, read as a whole number."""
    return int(struct.unpack("<q", struct.pack("<d", abs(value)))[0])


def _ranked(rank: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", rank))[0])
