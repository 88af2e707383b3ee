"""What the commands of this package share: the rule, its exponent, which SDE of it, and values of its symbols."""

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from ..ground.console import parse_number
from ..ground.errors import InputError

if TYPE_CHECKING:
    from .derivation.derived_sde import SDE
    from .rules.bindings import Values
    from .rules.recursion import Recursion
    from .rules.rule import Rule

__all__ = [
    "DerivedOrder",
    "DriftOrder",
    "OptionalRuleName",
    "RhoExponent",
    "RuleName",
    "SymbolValue",
    "read_exponent",
    "read_sde",
    "read_values",
    "rule_names",
]

_SDE = "The SDE"  # panel of the help

RuleName = Annotated[
    str,
    typer.Argument(metavar="RULE", help="An update rule by its name, or an expression such as 'grad(rho*g/norm(g))'."),
]
OptionalRuleName = Annotated[
    str | None,
    typer.Argument(
        metavar="[RULE]",
        help="An update rule by its name, an expression such as 'grad(rho*g/norm(g))', or statements.",
        show_default=False,
    ),
]
RhoExponent = Annotated[str, typer.Option(help="The rational number beta in rho = c eta^beta, such as 1/3.")]
DerivedOrder = Annotated[
    int | None,
    typer.Option(
        help="Derive the SDE of this order, 1 or 2; 1 if neither this nor --drift-order is given.",
        rich_help_panel=_SDE,
    ),
]
DriftOrder = Annotated[
    int | None,
    typer.Option(
        help="Instead, keep rho^0 to rho^(m-1) in the drift, whatever order that gives.", rich_help_panel=_SDE
    ),
]
SymbolValue = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=NUMBER[,NUMBER]",
        help="Value of a symbol of the rule, such as alpha=0.2, or v=1,0 for a direction, which is normalised.",
        rich_help_panel=_SDE,
    ),
]


def rule_names() -> list[str]:
    """Names of the known rules, for whom asks for help.

    Example:
        >>> rule_names()[:3]
        ['sgd', 'usam', 'sam']
    """
    from .rules.rule import RULES  # here: the command starts without the language of rules

    return list(RULES)


def read_exponent(text: str) -> Fraction:
    """``beta``.

    Example:
        >>> read_exponent("2/3")
        Fraction(2, 3)
    """
    try:
        return parse_number("--rho-exponent", text)
    except InputError:
        raise InputError(f"--rho-exponent '{text}' is not rational; give a fraction such as 1/3 or 0.5") from None


def read_sde(rule: "Rule | Recursion", weak_order: int | None, drift_order: int | None, exponent: Fraction) -> "SDE":
    """The SDE of a weak order, or with so many powers of ``rho`` in its drift.

    Raises:
        InputError: both are given, or there is no such SDE.

    Example:
        >>> from eigensam.sde import find_rule
        >>> read_sde(find_rule("usam"), None, None, Fraction(1, 2)).weak_order
        Fraction(1, 1)
    """
    from .derivation.derived_sde import derive, truncate  # here: the command starts without algebra

    if weak_order is not None and drift_order is not None:
        raise InputError("--weak-order chooses the powers of rho, --drift-order gives them: use one of both")
    if drift_order is not None:
        return truncate(rule, exponent, drift_order)
    return derive(rule, weak_order or 1, exponent)


def read_values(rule: "Rule | Recursion", given: list[str]) -> "Values":
    """``NAME=NUMBER`` as a parameter, ``NAME=NUMBER,NUMBER`` as a direction, which is normalised.

    Example:
        >>> from eigensam.sde import find_rule
        >>> read_values(find_rule("cr-sam"), ["alpha=1/4"])
        {'alpha': 0.25}
    """
    import torch  # here, since `derive` shares this file and needs no tensors

    result: dict[str, float | torch.Tensor] = {}
    for text in given:
        name, _, numbers = text.partition("=")
        if name in result:
            raise InputError(f"--value {text}: {name} has a value already; give each symbol one value")
        components = [float(parse_number(f"--value {name}", number)) for number in numbers.split(",")]
        vector = torch.tensor(components, dtype=torch.float64)
        direction = name in rule.directions
        result[name] = vector / torch.linalg.vector_norm(vector) if direction else components[0]
        if not direction and len(components) > 1:
            raise InputError(f"--value {text}: rule '{rule.name}' has no direction {name}; give one number")
    return result
