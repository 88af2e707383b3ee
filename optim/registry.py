"""The optimizers that a run may name; each is one file in ``methods/``."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from ..ground.errors import InputError
from ..ground.registry import Registry
from .method import Method

__all__ = ["OPTIMIZERS", "method_from_dict", "register"]

OPTIMIZERS: Registry[type[Method]] = Registry("optimizer", "eigensam.optim.methods")
"""By name, the settings class of a method."""


def register(name: str, *, order: float = 100.0) -> Callable[[type[Method]], type[Method]]:
    """A decorator: the settings class below it is the optimizer of this name.

    Args:
        name: as on the command line.
        order: of lists and pictures.
    """

    def add(kind: type[Method]) -> type[Method]:
        if "name" in {each.name for each in fields(kind)}:  # type: ignore[arg-type]
            raise InputError(f"a setting of '{name}' is called 'name', which is the optimizer's own; rename it")
        if kind.__dict__.get("name", name) != name:
            raise InputError(f"these settings are those of '{kind.name}' already; '{name}' needs a class of its own")
        kind.name = name
        return OPTIMIZERS.register(name, order=order)(kind)

    return add


def method_from_dict(found: Any) -> Method:
    """Inverse of :meth:`Method.to_dict`.

    Raises:
        InputError: an unknown name or setting, or a value out of range.
    """
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise InputError(f"{found!r:.60} is not an optimizer; expected its name and settings")
    kind = OPTIMIZERS[found["name"]]
    try:
        return kind(**{name: value for name, value in found.items() if name != "name"})
    except TypeError as error:
        raise InputError(f"settings of '{found['name']}' do not fit: {error}") from None
