"""Help that lists what a registry holds, looked up when somebody asks for help and not before."""

from collections.abc import Callable, Iterable
from typing import Any

from typer.core import TyperCommand

__all__ = ["with_choices"]


def with_choices(
    command: type[TyperCommand], **choices: Iterable[str] | Callable[[], Iterable[str]]
) -> type[TyperCommand]:
    """A class of commands whose help names the entries that an option may have.

    Args:
        command: class that it extends.
        choices: by parameter name, what the option chooses from: a registry, which loads its entries for that, or a
            function that lists the names.

    Returns:
        The ``cls=`` of typer's ``command``.
    """

    class Listing(command):  # type: ignore[valid-type, misc]
        def format_help(self, ctx: Any, formatter: Any) -> None:
            before = {parameter.name: parameter.help for parameter in self.params if parameter.name in choices}
            for parameter in self.params:
                if parameter.name in before:
                    names = choices[parameter.name]
                    parameter.help = f"{parameter.help} One of: {', '.join(names() if callable(names) else names)}."
            try:
                super().format_help(ctx, formatter)
            finally:
                for parameter in self.params:
                    if parameter.name in before:
                        parameter.help = before[parameter.name]

    return Listing
