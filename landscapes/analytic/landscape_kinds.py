"""What kinds of landscapes a file may hold, and how new ones are added."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.errors import InputError
from ...ground.registry import Registry

if TYPE_CHECKING:
    from ..landscape import Landscape

__all__ = ["LANDSCAPES", "LandscapeKind", "landscape_kind", "number_lists", "shown", "texts"]


@dataclass(frozen=True)
class LandscapeKind:
    """One kind of landscape in a file.

    Attributes:
        example: the keys of its JSON object besides ``kind``, all of them required, with values that would do.
        read: makes the landscape of the values of these keys; refuses what does not fit.
    """

    example: Mapping[str, Any]
    read: "Callable[[Mapping[str, Any]], Landscape]"


LANDSCAPES: Registry[LandscapeKind] = Registry("landscape", "eigensam.landscapes.analytic.kinds")
"""All kinds by name. Those of other packages are found by entry points of the group ``eigensam.landscape``."""


def landscape_kind(
    name: str, example: Mapping[str, Any], *, order: float = 100.0
) -> "Callable[[Callable[[Mapping[str, Any]], Landscape]], Callable[[Mapping[str, Any]], Landscape]]":
    """A decorator: the function below it reads landscapes of this kind, as ``read`` of :class:`LandscapeKind`.

    In a module of another package, which an entry point of the group ``eigensam.landscape`` names::

        @landscape_kind("bowl", {"widths": [[2.0]]})
        def read(given):
            from my_package.bowl import Bowl  # what is slow to import, inside

            return Bowl(number_lists("widths", given["widths"], [[2.0]]))

    Args:
        name: the value of the key ``kind``.
        example: the other keys, with values that would do; checked to be there before the function is called.
        order: of the list in messages.

    Raises:
        InputError: the name is taken.

    Example:
        >>> LANDSCAPES["quadratic"].read({"hessian": [[2.0]], "centres": [[0.0]]}).dim
        1
    """

    def add(
        read: "Callable[[Mapping[str, Any]], Landscape]",
    ) -> "Callable[[Mapping[str, Any]], Landscape]":
        LANDSCAPES.register(name, order=order)(LandscapeKind(example, read))
        return read

    return add


def number_lists(key: str, value: Any, example: Any) -> Any:
    """A value that is lists in lists of numbers; their shape is the landscape's to check.

    Raises:
        InputError: it is not; the message shows the example.
    """
    if not isinstance(value, list) or not _only_numbers(value):
        raise InputError(f"key '{key}' is {shown(value)}; expected lists in lists of numbers such as {example}")
    return value


def _only_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_only_numbers, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def texts(key: str, value: Any, example: Any) -> list[str]:
    """A value that is a list of texts, at least one.

    Raises:
        InputError: it is not; the message shows the example.
    """
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise InputError(f"key '{key}' is {shown(value)}; expected a list of texts such as {json.dumps(example)}")
    return value


def shown(value: Any) -> str:
    """A value as in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
