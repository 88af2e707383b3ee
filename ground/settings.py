"""Settings as data classes: a field is a value that is checked, an entry in JSON, and an option of a command."""

from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, field, fields
from typing import Any

from .errors import InputError

__all__ = ["check_settings", "check_type", "check_types", "setting", "settings_of"]

_LARGEST = {int: 2**31 - 1, float: 1e30}  # anything beyond is a slip of the keyboard


def setting(
    default: Any,
    help: str,
    *,
    choices: Callable[[], Iterable[str]] | None = None,
    holds: Callable[[Any], bool] | None = None,
    otherwise: str = "",
    listed: bool = False,
) -> Any:
    """A field of a settings class.

    Args:
        default: says its type: bool, int, float or str.
        help: one sentence or more, as ``--help`` shows it.
        choices: what a text may be; called when it is checked or shown.
        holds: what a value must fulfil.
        otherwise: what the error says then, to follow "name = value".
        listed: whether the text is a list, which a file may give as one: ``[1, 2]`` for ``"1,2"``, ``1`` for ``"1"``.
    """
    metadata = {"help": help, "choices": choices, "holds": holds, "otherwise": otherwise, "listed": listed}
    return field(default=default, metadata=metadata)


def settings_of(kind: Any) -> list[Field[Any]]:
    """The fields of a settings class, or of one of its objects, that were made by :func:`setting`."""
    return [each for each in fields(kind) if "help" in each.metadata]


def check_settings(settings: Any) -> None:
    """Refuse values of another type, of absurd size, unknown names, and what a field forbids; call it at construction.

    Raises:
        InputError: what was found, and the repair.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Ascent:
        ...     rho: float = setting(0.1, "Radius.", holds=lambda v: v > 0, otherwise="must be positive")
        ...     __post_init__ = check_settings
        >>> Ascent(rho=-1.0)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: rho = -1.0 must be positive
    """
    check_types(settings)
    found = settings_of(settings)
    for each in found:
        value, choices = getattr(settings, each.name), each.metadata["choices"]
        if choices is not None and value not in choices():
            raise InputError(f"unknown {each.name} '{value}'; choose one of: {', '.join(choices())}")
    for each in found:
        value, holds = getattr(settings, each.name), each.metadata["holds"]
        if holds is not None and not holds(value):
            raise InputError(f"{each.name} = {value} {each.metadata['otherwise']}")


def check_types(settings: Any) -> None:
    """Refuse values of another type than the default's, and numbers of absurd size.

    Raises:
        InputError: what was found, and what was expected.
    """
    for each in settings_of(settings):
        check_type(each, getattr(settings, each.name))


def check_type(each: Field[Any], value: Any) -> None:
    """As :func:`check_types`, of one value that a field may get.

    Raises:
        InputError: what was found, and what was expected.
    """
    assert each.default is not MISSING
    if each.default is None:  # which says nothing of the type
        return
    kind: type[Any] = type(each.default)
    allowed = (int, float) if kind is float else (kind,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{each.name} = {value!r} is not of type {kind.__name__}")
    if kind in _LARGEST and not abs(value) <= _LARGEST[kind]:
        raise InputError(f"{each.name} = {value} is out of range; give a number of sensible size")
