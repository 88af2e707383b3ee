"""Options of a command that are the fields of a settings data class, of every kind that a registry holds."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from .options import Only, only, strict

__all__ = ["with_settings"]


def with_settings(option: str, registry: Mapping[str, type]) -> type[TyperCommand]:
    """A class of commands that also take the fields of the chosen entry's data class as options.

    The command's function has a parameter named ``option``, the name of an entry, and a keyword ``settings``, without
    annotation, which receives the entry, made from what was given. Fields with equal names are one option. Entries are
    looked up when the command runs or its help is shown. A field's help is ``metadata["help"]``.

    Args:
        option: parameter that chooses.
        registry: data classes by name.

    Returns:
        The ``cls=`` of typer's ``command``; it refuses options of other entries, as :func:`strict` does.
    """
    applies: dict[str, Only] = {}

    class Settings(strict(applies)):  # type: ignore[misc]
        complete = False
        callback: Any

        def get_params(self, ctx: Any) -> Any:
            if not self.complete:
                applies.clear()
                applies.update(_applies(option, registry))
                single = typer.Typer(add_completion=False)
                single.command()(_function(inspect.unwrap(self.callback), option, registry))
                made: Any = typer.main.get_command(single)
                self.params, self.callback, self.complete = made.params, made.callback, True
            return super().get_params(ctx)

    return Settings


def _kinds(registry: Mapping[str, type]) -> dict[str, dict[str, tuple[Field[Any], Any]]]:
    """Names of fields: kinds that have it, with field and type."""
    found: dict[str, dict[str, tuple[Field[Any], Any]]] = {}
    for kind, settings in registry.items():
        hints = get_type_hints(settings)
        for field in fields(settings):
            found.setdefault(field.name, {})[kind] = (field, hints[field.name])
    return found


def _applies(option: str, registry: Mapping[str, type]) -> dict[str, Only]:
    return {name: only(option, *having) for name, having in _kinds(registry).items() if len(having) < len(registry)}


def _function(function: Callable[..., Any], option: str, registry: Mapping[str, type]) -> Callable[..., Any]:
    """The function with one parameter for each field in place of ``settings``."""
    kinds = _kinds(registry)

    def call(**given: Any) -> Any:
        own = {name: given.pop(name) for name in kinds}
        chosen = given[option]
        values = {name: v for name, v in own.items() if chosen in kinds[name] and v is not None}
        return function(**given, settings=registry[chosen](**values))

    signature = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)
    plain = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name != "settings"
    ]
    place = [parameter.name for parameter in plain].index(option) + 1
    panels = {name: f"Of {each.when}" for name, each in _applies(option, registry).items()}
    added = [_parameter(name, having, panels.get(name)) for name, having in kinds.items()]
    parameters = [*plain[:place], *added, *plain[place:]]
    call.__doc__ = function.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _parameter(name: str, having: Mapping[str, tuple[Field[Any], Any]], panel: str | None) -> inspect.Parameter:
    field, hint = next(iter(having.values()))
    defaults = {repr(each.default): each.default for each, _ in having.values()}
    default = field.default if len(defaults) == 1 else None  # else each kind's own
    described = field.metadata.get("help", "")
    annotation: Any = Annotated[
        hint if default is not None else hint | None, typer.Option(help=described, rich_help_panel=panel)
    ]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
