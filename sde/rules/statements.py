"""A recursion typed on a command line: statements such as ``m = 9/10*m + g; x = x - eta*m``."""

import re
from collections.abc import Iterable, Mapping, Sequence

from ...ground.errors import InputError
from . import language
from .leaves import POSITION
from .nodes import Expression, Vector
from .parsing import parse

__all__ = ["is_statements", "parse_statements"]

_STATEMENT = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=(?!=)(.*)", re.DOTALL)


def is_statements(text: str) -> bool:
    """Whether a text is a recursion's rather than one expression.

    Example:
        >>> is_statements("x = x - eta*g"), is_statements("hvp(g, at=rho*g)")
        (True, False)
    """
    return bool(_STATEMENT.match(text))


def parse_statements(text: str, schedules: Sequence[str] = ()) -> list[tuple[str, Vector]]:
    """Read statements, separated by semicolons; names that they give values are blocks, others those of the language.

    Args:
        text: such as ``m = 9/10*m + g; x = x - eta*m``.
        schedules: names that are schedules.

    Raises:
        InputError: not statements; the message names the part that is not.

    Example:
        >>> parse_statements("m = 9/10*m + g; x = x - eta*m")
        [('m', 9*m/10 + g), ('x', x - eta*m)]
    """
    if not isinstance(text, str):
        raise InputError(f"found {text!r}; expected statements as text: 'm = 9/10*m + g; x = x - eta*m'")
    if isinstance(schedules, str) or not isinstance(schedules, Iterable):
        raise InputError(f"the names of schedules are {schedules!r}; give a list such as ['s']")
    found: list[tuple[str, str]] = []
    for part in text.split(";"):
        if not part.strip():
            continue
        match = _STATEMENT.match(part)
        if match is None:
            raise InputError(f"'{part.strip()[:80]}' is not a statement; write e.g. m = 9/10*m + g; x = x - eta*m")
        found.append((match[1], match[2]))
    if not found:
        raise InputError("there is no statement; write e.g. x = x - eta*g")
    names: Mapping[str, Expression] = {
        **{name: language.state(name) for name in dict.fromkeys([*(name for name, _ in found), POSITION])},
        **{name: language.schedule(name) for name in schedules},
    }
    result = []
    for name, right in found:
        try:
            value = parse(right, names)
        except InputError as error:
            if unknown := re.search(r"unbound symbol '(\w+)'", str(error)):
                raise InputError(
                    f"{error}; if it is memory, a statement gives it a value, e.g. {unknown[1]} = 9/10*{unknown[1]} + g"
                ) from None
            raise
        if not isinstance(value, Vector):
            raise InputError(f"{name} = {right.strip()[:80]} is not a vector; write scalars where they are used")
        result.append((name, value))
    return result
