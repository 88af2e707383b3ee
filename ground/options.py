"""Options of a command: each at most once, and none that would be ignored.

An option that has no effect misleads: whoever gave it believes in a result that was measured otherwise. Each command
has a table of the options that only apply under a condition.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from typer.core import TyperCommand

from .errors import InputError

__all__ = ["Only", "only", "only_with", "strict"]


@dataclass(frozen=True)
class Only:
    """When an option has an effect.

    Attributes:
        when: in words, to follow "it belongs to".
        holds: whether it is so, from the values of all parameters by name.
    """

    when: str
    holds: Callable[[Mapping[str, Any]], bool]


def only(name: str, *values: str) -> Only:
    """Where another option has one of some values.

    Example:
        >>> condition = only("method", "torus", "moments")
        >>> condition.when, condition.holds({"method": "one-step"})
        ('--method torus or moments', False)
    """
    alternatives = " or ".join([", ".join(values[:-1]), values[-1]]) if len(values) > 1 else values[0]
    return Only(f"{_option(name)} {alternatives}", lambda given: given[name] in values)


def only_with(name: str) -> Only:
    """Where another option is given, or a flag set.

    Example:
        >>> only_with("density").holds({"density": True})
        True
    """
    return Only(_option(name), lambda given: bool(given[name]))


def strict(conditions: Mapping[str, Only]) -> type[TyperCommand]:
    """A class of commands that refuse what they would ignore.

    Args:
        conditions: by parameter name; a parameter that is not named always applies.

    Returns:
        The ``cls=`` of typer's ``command``. Parsing raises InputError for an option that is given twice (unless it
        takes a list) or whose condition does not hold.
    """

    class Strict(TyperCommand):
        known_conditions = conditions

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            given = [] if ctx.resilient_parsing else self.make_parser(ctx).parse_args(list(args))[2]
            rest = super().parse_args(ctx, args)
            for parameter in given:
                if given.count(parameter) > 1 and not parameter.multiple:
                    raise InputError(f"{parameter.opts[0]} is given twice; give it once")
                condition = conditions.get(parameter.name)
                if condition is not None and not condition.holds(ctx.params):
                    raise InputError(
                        f"{parameter.opts[0]} has no effect here: it belongs to {condition.when}; leave it out"
                    )
            return rest

    return Strict


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
