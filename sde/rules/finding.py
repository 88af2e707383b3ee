"""Rules by what a person calls them: a known name, an expression, or statements."""

import re
from collections.abc import Mapping
from typing import Any

from ...ground.errors import InputError
from .known_recursions import RECURSIONS
from .parsing import parse
from .recursion import Recursion
from .rule import RULES, Rule
from .schedules import Schedule
from .statements import is_statements, parse_statements

__all__ = ["find_memoryless", "find_rule", "without_memory"]


def find_rule(name: str, schedules: Mapping[str, Schedule] | None = None) -> Rule | Recursion:
    """Look a rule up by its name, or read it: an expression is a step, statements are a rule with memory.

    Args:
        name: of a known rule; or its text.
        schedules: what names in statements stand for besides blocks of the state.

    Raises:
        InputError: no rule has this name and it cannot be read; the message lists all names.

    Example:
        >>> from eigensam.sde import find_rule
        >>> print(find_rule("dnsam"))
        dnsam: grad(rho*g/norm(E[g]))
        >>> print(find_rule("grad(rho * unit(g) / 2)").step)
        grad(rho*g/norm(g)/2)
        >>> print(find_rule("nesterov"))
        nesterov: q = g; m = 9*m/10 + q; x = x - eta*(q + 9*m/10)
        >>> find_rule("m = m/2 + g; x = x - eta*m").blocks
        ['x', 'm']
    """
    if name in RULES:
        return RULES[name]
    if name in RECURSIONS:
        return RECURSIONS[name]
    short = " ".join(name.split())
    if is_statements(name):
        return Recursion(short, parse_statements(name, list(schedules or ())), schedules=schedules or {})
    try:
        return Rule(short, parse(name))
    except InputError:
        if re.fullmatch(r"[\w.-]*", name):  # not an expression, so a misspelt name
            known = ", ".join([*RULES, *RECURSIONS])
            raise InputError(
                f"unknown rule '{name}'; choose one of: {known}; or write one, e.g. 'grad(rho*unit(g))' or "
                "'m = 9/10*m + g; x = x - eta*m'"
            ) from None
        raise


def without_memory(rule: Any) -> Rule:
    """A rule that is one, for what knows no memory yet.

    Raises:
        InputError: a rule with memory, or no rule.

    Example:
        >>> print(without_memory(find_rule("usam")))
        usam: grad(rho*g)
    """
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, Recursion):
        raise InputError(
            f"'{rule.name}' is a rule written in statements, which this does not take; give a rule that is one step, "
            f"such as sam, or derive its SDE: eigensam derive '{rule.name}'"
        )
    raise InputError(f"found {rule!r:.80}; expected a rule: find_rule('sam'), or Rule('name', step)")


def find_memoryless(name: str) -> Rule:
    """As :func:`find_rule`, of a rule without memory.

    Raises:
        InputError: no such rule, or one with memory.
    """
    return without_memory(find_rule(name))
