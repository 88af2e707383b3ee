"""Options of a command that are the fields of settings classes, of every kind that a registry holds.

Which optimizers there are, and so which options ``train`` has, is known when the registry has loaded them, plug-ins of
other packages included: too much for ``eigensam --version``. So options are made when the command is used.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Annotated, Any, ClassVar, get_type_hints

import typer
from typer.core import TyperCommand

from .errors import InputError
from .options import Only, only, strict

__all__ = ["Chosen", "FromFile", "Group", "with_settings"]

Group = Annotated[Any, typer.Option(parser=str, hidden=True)]
"""A parameter that receives settings. Typer looks at it before the options of the group take its place."""


@dataclass(frozen=True)
class Chosen:
    """Settings of the entry that another option names.

    Attributes:
        option: parameter that chooses.
        registry: settings classes by name.
    """

    option: str
    registry: Mapping[str, type]


@dataclass(frozen=True)
class FromFile:
    """A file that stands for options which are not given.

    Attributes:
        option: parameter that names the file.
        read: its values, by field; those of a choice in a dictionary with the ``name`` of the entry, which are left
            out where another entry is chosen.
    """

    option: str
    read: Callable[[str], Mapping[str, Any]]


def with_settings(
    conditions: Mapping[str, Only], file: FromFile | None = None, **groups: type | Chosen
) -> type[TyperCommand]:
    """A class of commands that also take the fields of settings classes as options.

    The command's function has a parameter for each group, a :data:`Group`, which receives the settings, made from
    what was given. Fields of one group with equal names are one option. Where a choice has a field whose name an
    earlier choice has, too, its option has the choice's name before it: ``--schedule-gamma``. A field's help is
    ``metadata["help"]``; one whose metadata say ``{"option": False}`` is left out.

    Args:
        conditions: of the command's other options, as for :func:`strict`.
        file: that an option names, whose values take the place of defaults.
        **groups: by parameter name, a settings class, or a choice among several.

    Returns:
        The ``cls=`` of typer's ``command``; it refuses options of other entries, as :func:`strict` does.
    """
    applies: dict[str, Only] = {}

    class Settings(strict(applies)):  # type: ignore[misc]
        complete = False
        callback: Any
        names: ClassVar[dict[str, dict[str, str]]] = {}  # of a choice: its options, by field

        def get_params(self, ctx: Any) -> Any:
            if not self.complete:
                made = _made(groups)
                applies.clear()
                applies.update(conditions)
                for name, group in made.items():
                    applies.update(group.applies)
                    if isinstance(chosen := groups[name], Chosen):
                        self.names[chosen.option] = group.options
                single = typer.Typer(add_completion=False)
                single.command()(_function(inspect.unwrap(self.callback), made))
                command: Any = typer.main.get_command(single)
                self.params, self.callback, self.complete = command.params, command.callback, True
            return super().get_params(ctx)

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if file is not None and not ctx.resilient_parsing:
                given = self.make_parser(ctx).parse_args(list(args))[0]
                if file.option in given:
                    ctx.default_map = self.defaults(file.read(given[file.option]), given)
            return super().parse_args(ctx, args)  # type: ignore[no-any-return]

        def defaults(self, found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
            """What stands in the file, by option."""
            made: dict[str, Any] = {}
            for name, value in found.items():
                if name not in self.names:
                    made[name] = value
                elif given.get(name, value["name"]) == value["name"]:
                    made |= {self.names[name].get(field, name): each for field, each in value.items()}
            return made

    return Settings


@dataclass(frozen=True)
class _Group:
    """A group's options.

    Attributes:
        parameters: of the command's function.
        applies: when each has an effect.
        make: settings from the values of all parameters.
        options: by field, the name of its option.
        renamed: by field, what to say of an option that is not called like its field.
    """

    parameters: list[inspect.Parameter]
    applies: dict[str, Only]
    make: Callable[[Mapping[str, Any]], Any]
    options: dict[str, str]
    renamed: dict[str, str]

    @classmethod
    def of_class(cls, group: type) -> "_Group":
        found = _fields(group)
        parameters = [_parameter(name, {"": each}, None, "") for name, each in found.items()]
        return cls(parameters, {}, lambda given: group(**{name: given[name] for name in found}), {}, {})

    @classmethod
    def of_choice(cls, group: Chosen, taken: set[str]) -> "_Group":
        choice, registry = group.option, group.registry
        owners: dict[str, dict[str, tuple[Field[Any], Any]]] = {}  # name of a field: entries that have it
        for kind, settings in registry.items():
            for name, each in _fields(settings).items():
                owners.setdefault(name, {})[kind] = each
        options = {name: f"{choice}_{name}" if name in taken else name for name in owners}
        whose = {name: only(choice, *having) for name, having in owners.items()}
        applies = {options[name]: whose[name] for name, having in owners.items() if len(having) < len(registry)}
        parameters = [
            _parameter(option, owners[name], f"Of {applies[option].when}" if option in applies else None, choice)
            for name, option in options.items()
        ]

        def make(given: Mapping[str, Any]) -> Any:
            chosen = given[choice]
            own = {name: given[options[name]] for name, having in owners.items() if chosen in having}
            return registry[chosen](**{name: value for name, value in own.items() if value is not None})

        said = {
            name: f"--{option.replace('_', '-')} is that of {whose[name].when}"
            for name, option in options.items()
            if option != name
        }
        return cls(parameters, applies, make, options, said)


def _made(groups: Mapping[str, type | Chosen]) -> dict[str, _Group]:
    """Each group's options, under names that no earlier choice has."""
    taken: set[str] = set()
    made: dict[str, _Group] = {}
    for name, group in groups.items():
        if isinstance(group, Chosen):
            made[name] = _Group.of_choice(group, taken)
            taken |= {each.name for each in made[name].parameters}
        else:
            made[name] = _Group.of_class(group)
    for each in made.values():  # whoever gives --gamma for a schedule is told where that went
        for field, condition in each.applies.items():
            if others := [other.renamed[field] for other in made.values() if field in other.renamed]:
                each.applies[field] = Only(f"{condition.when} ({', '.join(others)})", condition.holds)
    return made


def _fields(settings: type) -> dict[str, tuple[Field[Any], Any]]:
    """Fields that are options, with their types."""
    hints = get_type_hints(settings)
    for each in fields(settings):
        if each.default is MISSING and each.metadata.get("option", True):
            raise InputError(f"the setting '{each.name}' of {settings.__qualname__} has no default; give it one")
    return {each.name: (each, hints[each.name]) for each in fields(settings) if each.metadata.get("option", True)}


def _parameter(
    name: str, having: Mapping[str, tuple[Field[Any], Any]], panel: str | None, option: str
) -> inspect.Parameter:
    field, hint = next(iter(having.values()))
    same = len({repr(each.default) for each, _ in having.values()}) == 1
    default = field.default if same else None  # else each entry's own
    choices = field.metadata.get("choices")
    described = _described(having) + (f" One of: {', '.join(choices())}." if choices else "")
    flag = [f"--{name.replace('_', '-')}"] if hint is bool and default is False else []  # no --no-
    declared = typer.Option(
        *flag,
        help=described,
        rich_help_panel=panel,
        show_default=hint is not bool and (True if same else f"that of the {option}"),
    )
    annotation: Any = Annotated[hint if same else hint | None, declared]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _described(having: Mapping[str, tuple[Field[Any], Any]]) -> str:
    """The help; where entries say different things of a name that they share, what each one says, and its default."""
    said: dict[tuple[str, str], list[str]] = {}
    for kind, (field, _) in having.items():
        said.setdefault((field.metadata.get("help", ""), str(field.default)), []).append(kind)
    if len({help for help, _ in said}) == 1:
        return next(iter(said))[0]
    return " ".join(f"{', '.join(kinds)} ({default}): {help}" for (help, default), kinds in said.items())


def _function(function: Callable[..., Any], groups: Mapping[str, _Group]) -> Callable[..., Any]:
    """The function with one parameter for each field in place of each group."""
    hints = get_type_hints(function, include_extras=True)
    plain = inspect.signature(function).parameters

    def call(**given: Any) -> Any:
        own = {name: given[name] for name in plain if name not in groups}
        return function(**own, **{name: group.make(given) for name, group in groups.items()})

    parameters: list[inspect.Parameter] = []
    for name, parameter in plain.items():
        alone = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints.get(name))
        parameters += groups[name].parameters if name in groups else [alone]
    names = [each.name for each in parameters]
    if twice := sorted({name for name in ("help", *names) if ["help", *names].count(name) > 1}):
        raise InputError(
            f"the setting '{twice[0]}' of a plug-in has the name of another option of this command; rename it there"
        )
    call.__doc__ = function.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call
