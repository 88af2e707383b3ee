"""A rule's expression as a formula, in the language itself or in LaTeX."""

from fractions import Fraction

from .language import (
    Add,
    Derivative,
    Direction,
    Expression,
    Inner,
    Loss,
    Mean,
    Multiply,
    Norm,
    Number,
    Parameter,
    Power,
    Sign,
)
from .names import KNOWN

__all__ = ["formula", "latex_formula", "latex_name"]

_GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "lambda", "mu", "nu", "rho", "sigma", "tau", "theta", "eta"}


def latex_name(name: str) -> str:
    r"""A parameter's or direction's name in LaTeX.

    Example:
        >>> latex_name("alpha"), latex_name("v"), latex_name("step_size")
        ('\\alpha', 'v', '\\mathrm{step\\_size}')
    """
    if name in _GREEK:
        return "\\" + name
    escaped = name.replace("_", r"\_")
    return name if len(name) == 1 and name.isalpha() else rf"\mathrm{{{escaped}}}"


def _join(parts: list[str]) -> str:
    result = parts[0]
    for part in parts[1:]:
        result += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    return result


def _quotient(parts: tuple[Expression, ...]) -> tuple[list[Expression], list[Power]]:
    """What stands above and below the line, the latter with positive exponents."""
    below = [Power(p.base, -p.exponent) for p in parts if isinstance(p, Power) and p.exponent < 0]
    return [p for p in parts if not (isinstance(p, Power) and p.exponent < 0)], below


def _atomic(node: Expression) -> bool:
    return not isinstance(node, Add | Multiply | Power) and not (
        isinstance(node, Number) and (node.value.denominator > 1 or node.value < 0)
    )


def formula(node: Expression) -> str:
    """The expression as one would write it in Python, with ``g = grad()``; :func:`.parsing.parse` reads it back.

    Example:
        >>> from eigensam.sde.rules import grad, inner, rho
        >>> formula(grad(rho * grad()) / (1 + inner(grad(), grad())))
        'grad(rho*g)/(1 + inner(g, g))'
    """

    def wrapped(part: Expression) -> str:
        return formula(part) if _atomic(part) else f"({formula(part)})"

    match node:
        case Number(value):
            return str(value)
        case Parameter(name) | Direction(name) if name in KNOWN:
            return name
        case Parameter(name):
            return f"parameter('{name}')"
        case Direction(name):
            return f"direction('{name}')"
        case Derivative(None, ()):
            return "g"
        case Derivative(shift, ()) if shift is not None:
            return f"grad({formula(shift)})"
        case Derivative(shift, arguments):
            name = "hvp" if len(arguments) == 1 else "derivative"
            at = "" if shift is None else f", at={formula(shift)}"
            return f"{name}({', '.join(formula(a) for a in arguments)}{at})"
        case Loss(shift):
            return f"loss({'' if shift is None else formula(shift)})"
        case Inner(left, right):
            return f"inner({formula(left)}, {formula(right)})"
        case Norm(vector):
            return f"norm({formula(vector)})"
        case Sign(scalar):
            return f"sign({formula(scalar)})"
        case Mean(of):
            return f"E[{formula(of)}]"
        case Power(base, exponent):
            shown = str(exponent) if exponent.denominator == 1 and exponent >= 0 else f"({exponent})"
            return f"1/{wrapped(base)}" if exponent == -1 else f"{wrapped(base)}**{shown}"
        case Add(parts):
            return _join([formula(part) for part in parts])
        case Multiply(parts):
            above, below = _quotient(parts)
            sign = ""
            if above and isinstance(above[0], Number):
                value = above[0].value
                sign, above = ("-" if value < 0 else ""), above[1:]
                if abs(value.numerator) != 1 or not above:
                    above = [Number(Fraction(abs(value.numerator))), *above]
                if value.denominator != 1:
                    below = [*below, Power(Number(Fraction(value.denominator)), Fraction(1))]
            text = "*".join(f"({formula(p)})" if isinstance(p, Add) else formula(p) for p in above) or "1"
            for p in below:
                text += "/" + (wrapped(p.base) if p.exponent == 1 else formula(p))
            return sign + text
    raise TypeError(f"{type(node).__name__} has no formula")


def latex_formula(node: Expression) -> str:
    r"""The expression in LaTeX, with :math:`g = \nabla f_\gamma`.

    Example:
        >>> from eigensam.sde.rules import grad, norm, rho
        >>> print(latex_formula(rho * grad() / norm(grad())))
        \frac{\rho g}{\lVert g\rVert}
    """

    def wrapped(part: Expression) -> str:
        text = latex_formula(part)
        return text if _atomic(part) else rf"\left({text}\right)"

    match node:
        case Number(value):
            return str(value) if value.denominator == 1 else rf"\tfrac{{{value.numerator}}}{{{value.denominator}}}"
        case Parameter(name) | Direction(name):
            return latex_name(name)
        case Derivative(None, ()):
            return "g"
        case Derivative(shift, arguments):
            power = "" if not arguments else f"^{{{len(arguments) + 1}}}"
            at = "" if shift is None else rf"\left({_join(['x', latex_formula(shift)])}\right)"
            inside = rf"\left[{', '.join(latex_formula(a) for a in arguments)}\right]" if arguments else ""
            return rf"\nabla{power} f_\gamma{at}{inside}"
        case Loss(shift):
            return r"f_\gamma" + ("" if shift is None else rf"\left({_join(['x', latex_formula(shift)])}\right)")
        case Inner(left, right):
            return rf"\left\langle {latex_formula(left)}, {latex_formula(right)}\right\rangle"
        case Norm(vector):
            return rf"\lVert {latex_formula(vector)}\rVert"
        case Sign(scalar):
            return rf"\operatorname{{sign}}\left({latex_formula(scalar)}\right)"
        case Mean(of):
            return rf"\mathbb{{E}}\left[{latex_formula(of)}\right]"
        case Power(base, exponent):
            if exponent < 0:
                inverse = latex_formula(base) if exponent == -1 else latex_formula(Power(base, -exponent))
                return rf"\frac{{1}}{{{inverse}}}"
            return rf"{wrapped(base)}^{{{exponent}}}"
        case Add(parts):
            return _join([latex_formula(part) for part in parts])
        case Multiply(parts):
            above, below = _quotient(parts)
            minus = ""
            if above and isinstance(above[0], Number) and above[0].value < 0:
                value = -above[0].value
                minus, above = "-", ([] if value == 1 else [Number(value)]) + list(above[1:])
            text = (
                " ".join(rf"\left({latex_formula(p)}\right)" if isinstance(p, Add) else latex_formula(p) for p in above)
                or "1"
            )
            if below:
                denominator = " ".join(latex_formula(p.base if p.exponent == 1 else p) for p in below)
                text = rf"\frac{{{text}}}{{{denominator}}}"
            return minus + text
    raise TypeError(f"{type(node).__name__} has no formula")
