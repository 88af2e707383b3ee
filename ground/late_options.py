"""Options that are made from settings classes when a command is used, and not before.

Which optimizers there are, and so which options ``train`` has, is known when the registry has loaded them, plug-ins of
other packages included: too much for ``eigensam --version``.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from .options import Only, only
from .settings import settings_of

__all__ = ["LateOptions", "option", "with_late_options"]


@dataclass(frozen=True)
class LateOptions:
    """Options and when each has an effect.

    Attributes:
        options: in the order of the help.
        applies: by parameter name, as for :func:`strict`.
    """

    options: Sequence[Any]
    applies: Mapping[str, Only]

    @classmethod
    def of(cls, kind: type, panel: str) -> "LateOptions":
        """One option for each field of a settings class, with its default."""
        return cls([option(each.name, each.default, _help(each), panel) for each in settings_of(kind)], {})

    @classmethod
    def of_kinds(cls, kinds: Mapping[str, type], by: str, panel: str) -> "LateOptions":
        """One option for each field that any kind has; not given, it is None: the kind's own default.

        Args:
            kinds: settings classes by the name that chooses them.
            by: the option that chooses.
            panel: of the help.
        """
        fields: dict[str, dict[str, Any]] = {}
        for kind, each in ((name, each) for name, one in kinds.items() for each in settings_of(one)):
            fields.setdefault(each.name, {})[kind] = each
        options, applies = [], {}
        for name, owners in fields.items():
            first = next(iter(owners.values()))
            defaults = {str(each.default) for each in owners.values()}
            shown = defaults.pop() if len(defaults) == 1 else f"that of the {by}"
            options.append(option(name, first.default, f"{', '.join(owners)}: {_help(first)}", panel, shown=shown))
            applies[name] = only(by, *owners)
        return cls(options, applies)

    def __add__(self, other: "LateOptions") -> "LateOptions":
        return LateOptions([*self.options, *other.options], {**self.applies, **other.applies})


def _help(each: Any) -> str:
    choices = each.metadata["choices"]
    text: str = each.metadata["help"]
    return text + (f" One of: {', '.join(choices())}." if choices else "")


def option(name: str, default: Any, help: str, panel: str, *, shown: str = "") -> Any:
    """One option of the type of its default, made by typer from a function that is never called.

    Args:
        name: of the parameter.
        default: also its default, unless ``shown`` is given.
        help: in sentences.
        panel: of the help.
        shown: what the help says of a default that is not known yet; the option is then None if it is not given.
    """
    kind: Any = type(default)
    flag = "--" + name.replace("_", "-")
    late = bool(shown)
    declared = typer.Option(
        flag, help=help, rich_help_panel=panel, show_default=False if kind is bool else shown or True
    )
    parameter = inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if late else default,
        annotation=Annotated[kind | None if late else kind, declared],
    )

    def never() -> None:
        """Hold a signature."""

    never.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    never.__annotations__ = {name: parameter.annotation}
    app = typer.Typer(add_completion=False)
    app.command()(never)
    (made,) = typer.main.get_command(app).params
    return made


def with_late_options(command: type[TyperCommand], make: Callable[[], LateOptions]) -> type[TyperCommand]:
    """A class of commands with further options, refused where they have no effect like all others.

    Args:
        command: class that it extends, made by :func:`strict`.
        make: called once, when the command is used or asked for help.

    Returns:
        The ``cls=`` of typer's ``command``; the function finds their values in ``obj`` of its context.
    """

    class Late(command):  # type: ignore[valid-type, misc]
        late: LateOptions | None = None
        applies: Mapping[str, Only]

        def get_params(self, ctx: Any) -> list[Any]:
            if self.late is None:
                self.late = make()
                self.applies = {**self.applies, **self.late.applies}
            found = super().get_params(ctx)
            return [found[0], *self.late.options, *found[1:]]  # below the one that is required

        def invoke(self, ctx: Any) -> Any:
            if self.late is not None:
                ctx.obj = {each.name: ctx.params.pop(each.name) for each in self.late.options}
            return super().invoke(ctx)

    return Late
