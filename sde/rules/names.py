"""Names of parameters and directions; those that the notation has taken are refused, so that all print is clear."""

import keyword
import re

from ...ground.errors import InputError

__all__ = ["KNOWN", "check_name", "check_symbol"]

KNOWN = {"rho": "parameter", "alpha": "parameter", "eta": "parameter", "v": "direction"}
"""Names that stand for themselves in the text of a rule; of others it says ``parameter('tau')``, ``direction('w')``."""

_SYMBOLS = {
    "g": "the gradient",
    "H": "the Hessian",
    "T": "the third derivative",
    "f": "the loss",
    "phi": "the test function",
    "E": "the expectation",
    "x": "the point",
}
_TENSOR = re.compile(r"([gHT]|D?\d*(f|f_m|phi))\d*|E(_\d+)?")  # Df, D4f, and g1, H2, E_12 of several minibatches

_WORDS = {
    "X": "the solution of the SDE",
    "W": "Brownian motion",
    "b": "the drift",
    "h": "the increment",
    "u": "the perturbation",
    "c": "the constant in rho = c eta^beta",
    "p": "the weak order",
    "O": "the order of an error",
    "L": "the generator",
    "P": "the one-step operator",
    "Cov": "the covariance",
    "gamma": "the minibatch",
    "lambda": "an eigenvalue",
} | dict.fromkeys(
    ("grad", "hvp", "derivative", "loss", "inner", "norm", "unit", "mean", "sign", "parameter", "direction"),
    "a function of the language",
)
"""What summaries and proofs say around the expressions."""


def check_symbol(name: str) -> str:
    """A name for an exact expression.

    Raises:
        InputError: not an identifier, or taken by the notation of expressions.

    Example:
        >>> check_symbol("tau")
        'tau'
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InputError(f"the name {name!r} is not a letter followed by letters, digits and underscores; rename it")
    if _TENSOR.fullmatch(name) or name in _SYMBOLS:
        meaning = _SYMBOLS.get(name, "a derivative, or an expectation, of the notation")
        raise InputError(f"the name '{name}' is {meaning}; choose another, e.g. '{_other(name)}'")
    return name


def check_name(name: str, kind: str) -> str:
    """A name for a ``parameter`` or ``direction`` of a rule.

    Raises:
        InputError: not an identifier; taken by the notation; a name that is read back as the other kind.

    Example:
        >>> check_name("v", "parameter")
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: the name 'v' is a direction in the text of a rule
    """
    check_symbol(name)
    if name in _WORDS:
        raise InputError(f"the name '{name}' is {_WORDS[name]}; choose another, e.g. '{_other(name)}'")
    if keyword.iskeyword(name):
        raise InputError(f"the name '{name}' is a word of Python's; choose another, e.g. '{_other(name)}'")
    if KNOWN.get(name, kind) != kind:
        raise InputError(
            f"the name '{name}' is a {KNOWN[name]} in the text of a rule, so it cannot be a {kind}; choose another, "
            f"e.g. '{_other(name)}'"
        )
    return name


def _other(name: str) -> str:
    return f"my_{name}"
