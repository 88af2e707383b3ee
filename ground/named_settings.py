"""Settings that a registry knows by name: an optimizer's, a schedule's. One field of JSON says which they are."""

from abc import ABC
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any, ClassVar, TypeVar

from .errors import InputError
from .registry import Registry
from .settings import check_settings

__all__ = ["NamedSettings", "register_settings", "settings_from_dict"]

T = TypeVar("T", bound="NamedSettings")


class NamedSettings(ABC):
    """A frozen data class of settings; its fields, made by :func:`setting`, are its options and JSON.

    Attributes:
        name: in the registry, on the command line and in JSON; set by :func:`register_settings`.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        check_settings(self)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the name, then the fields."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]


def register_settings(registry: Registry[type[T]], name: str, *, order: float = 100.0) -> Callable[[type[T]], type[T]]:
    """A decorator: the settings class below it is the registry's entry of this name.

    Args:
        registry: of such classes.
        name: as on the command line.
        order: of lists and pictures.
    """

    def add(kind: type[T]) -> type[T]:
        if "name" in {each.name for each in fields(kind)}:  # type: ignore[arg-type]
            raise InputError(f"a setting of '{name}' is called 'name', which is the {registry.kind}'s own; rename it")
        if kind.__dict__.get("name", name) != name:
            raise InputError(f"these settings are those of '{kind.name}' already; '{name}' needs a class of its own")
        kind.name = name
        return registry.register(name, order=order)(kind)

    return add


def settings_from_dict(registry: Registry[type[T]], found: Any) -> T:
    """Inverse of :meth:`NamedSettings.to_dict`.

    Args:
        registry: that has the class.
        found: as read from JSON.

    Raises:
        InputError: an unknown name or setting, or a value out of range.
    """
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        article = "an" if registry.kind[0] in "aeiou" else "a"
        raise InputError(f"{found!r:.60} is not {article} {registry.kind}; expected its name and settings")
    kind = registry[found["name"]]
    try:
        return kind(**{name: value for name, value in found.items() if name != "name"})
    except TypeError as error:
        raise InputError(f"settings of '{found['name']}' do not fit: {error}") from None
