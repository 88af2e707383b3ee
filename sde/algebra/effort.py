"""A limit on the work of one derivation, counted in terms, so that a rule that is too large is refused, not hung on."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ...ground.errors import InputError

__all__ = ["limited_effort", "spend"]

_MOST = 400_000
"""Ours, minutes of work: SAM with three ascent steps at weak order 2 and rho = c eta^(1/3) takes a quarter of it."""

_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextmanager
def limited_effort(most: int = _MOST) -> Iterator[None]:
    """Refuse work within the block, that of calls in it included, that takes too many terms.

    Raises:
        InputError: within the block, as soon as it does.

    Example:
        >>> with limited_effort(10):
        ...     spend(11)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: more than 10 terms in all; ask for a lower weak order or a larger rho \
exponent, or simplify the rule
    """
    if _left.get() is not None:  # part of a derivation that is counted already
        yield
        return
    token = _left.set([most, most])
    try:
        yield
    finally:
        _left.reset(token)


def spend(terms: int) -> None:
    """Count work; free outside of :func:`limited_effort`."""
    left = _left.get()
    if left is None:
        return
    left[0] -= terms
    if left[0] < 0:
        raise InputError(
            f"more than {left[1]} terms in all; ask for a lower weak order or a larger rho exponent, or simplify the "
            "rule"
        )
