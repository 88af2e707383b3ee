"""Three losses that satisfy all assumptions, and losses that are wrong on purpose, one for each assumption."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy

from ...ground.errors import InputError
from ...landscapes.analytic.formula import FormulaLandscape

__all__ = ["EXAMPLES", "ExampleLoss", "example_loss"]

_X, _Y = sympy.symbols("x y", real=True)
SIGMA = sympy.Symbol("sigma", positive=True)
"""Standard deviation of the noise, in :attr:`ExampleLoss.rise`."""

_R = (-math.inf, math.inf)
_Q = sympy.Rational


@dataclass(frozen=True)
class ExampleLoss:
    """A finite family of losses in closed form, on a domain.

    Attributes:
        name: on the command line.
        sentence: what it is.
        losses: ``f_m``, one for each minibatch, each drawn with the same probability.
        domain: an interval for each coordinate, finite or all numbers.
        rise: ``E f(x+e) - f(x)`` of the mean loss, ``e ~ N(0, sigma^2 I)``, in closed form with ``sigma`` in it.
        fails: the row that must read "fails"; empty for an example that satisfies all.
    """

    name: str
    sentence: str
    losses: Sequence[sympy.Expr]
    domain: Mapping[sympy.Symbol, tuple[float, float]]
    rise: sympy.Expr
    fails: str = ""

    @property
    def mean(self) -> sympy.Expr:
        """The mean loss."""
        return sum(self.losses) / len(self.losses)

    def landscape(self) -> FormulaLandscape:
        """The same as a landscape, for the rest of the package.

        Example:
            >>> example_loss("tilted-torus").landscape().size
            3
        """
        return FormulaLandscape(list(self.domain), list(self.losses))


def _probit(z: sympy.Expr) -> sympy.Expr:
    return (1 + sympy.erf(z / sympy.sqrt(2))) / 2


def _tilted_torus() -> ExampleLoss:
    """``c_m x - a_m cos x``: the box is where the mean ripple is convex."""
    tilts, ripples = (_Q(6, 5), _Q(9, 10), _Q(3, 2)), (_Q(1, 2), _Q(2, 5), _Q(3, 5))
    return ExampleLoss(
        "tilted-torus",
        "a tilted periodic loss of one parameter; all derivatives are periodic",
        [c * _X - a * sympy.cos(_X) for c, a in zip(tilts, ripples, strict=True)],
        {_X: (-1.2, 1.2)},
        sum(ripples) / 3 * sympy.cos(_X) * (1 - sympy.exp(-(SIGMA**2) / 2)),
    )


def _stiff_torus() -> ExampleLoss:
    """A tilted ripple, a stiff direction, and a coupling that moves lambda_1 along the valley."""
    tilts, ripples, centres = (_Q(6, 5), 1, _Q(7, 5)), (_Q(3, 10), _Q(1, 5), _Q(2, 5)), (_Q(-1, 10), 0, _Q(1, 10))
    stiff, coupling = 4, _Q(3, 10)
    shared = coupling * sympy.sin(_X) * (1 - sympy.cos(_Y))
    ripple, damped = sum(ripples) / 3, sympy.exp(-(SIGMA**2) / 2)
    return ExampleLoss(
        "stiff-torus",
        "a tilted ripple beside a stiff quadratic direction, weakly coupled; two parameters",
        [
            c * _X - a * sympy.cos(_X) + _Q(stiff, 2) * (_Y - m) ** 2 + shared
            for c, a, m in zip(tilts, ripples, centres, strict=True)
        ],
        {_X: (-1.0, 1.0), _Y: (-1.0, 1.0)},
        ripple * sympy.cos(_X) * (1 - damped)
        + _Q(stiff, 2) * SIGMA**2
        + coupling * sympy.sin(_X) * (damped - 1 + sympy.cos(_Y) * (1 - damped**2)),
    )


def _probit_regression() -> ExampleLoss:
    """``Phi(-a_m w)``: a smooth version of the 0-1 loss, in [0, 1] for all weights."""
    examples = ((_Q(1), _Q(1, 10)), (_Q(1), _Q(-1, 10)), (_Q(9, 10), _Q(1, 5)))
    scores = [-(a * _X + b * _Y) for a, b in examples]
    lengths = [a**2 + b**2 for a, b in examples]
    return ExampleLoss(
        "probit-regression",
        "a linear classifier of two weights with the loss Phi(-margin) on three bounded examples",
        [_probit(z) for z in scores],
        {_X: (0.7, 1.2), _Y: (-0.3, 0.3)},
        sum(
            _probit(z / sympy.sqrt(1 + SIGMA**2 * length)) - _probit(z)
            for z, length in zip(scores, lengths, strict=True)
        )
        / 3,
    )


def _wrong() -> list[ExampleLoss]:
    """Each fails at one row at least; the first minibatch is the whole family."""
    tilt = 2 * _X
    flat = sympy.Integer(0)
    small = {_X: (-1.0, 1.0)}
    return [
        ExampleLoss("wrong-unbounded", "a plane on all of R", [tilt], {_X: _R}, flat, "bounded loss"),
        ExampleLoss("wrong-domain", "a sine on all of R", [sympy.sin(_X)], {_X: _R},
                    sympy.sin(_X) * (sympy.exp(-(SIGMA**2) / 2) - 1), "bounded parameter domain"),
        ExampleLoss("wrong-kink", "a tilted absolute value", [tilt + sympy.Abs(_X)], small, SIGMA / 2,
                    "continuous third and fourth derivatives"),
        ExampleLoss("wrong-growth", "exp(x^2)", [sympy.exp(_X**2)], {_X: _R}, SIGMA**2,
                    "polynomial growth of loss and derivatives"),
        ExampleLoss("wrong-gradient", "a quartic on all of R", [_X**4 + tilt], {_X: _R},
                    6 * _X**2 * SIGMA**2 + 3 * SIGMA**4, "gradient Lipschitz in the parameters"),
        ExampleLoss("wrong-hessian", "a quintic on all of R", [_X**5 + tilt], {_X: _R},
                    10 * _X**3 * SIGMA**2 + 15 * _X * SIGMA**4, "Hessian Lipschitz in the parameters"),
        ExampleLoss("wrong-gap", "a tilted sphere", [tilt + _X**2 / 2 + _Y**2 / 2],
                    {_X: (-1.0, 1.0), _Y: (-1.0, 1.0)}, SIGMA**2, "lambda_1 is simple"),
        ExampleLoss("wrong-critical-point", "a parabola", [_X**2], small, SIGMA**2, "gradients bounded away from 0"),
        ExampleLoss("wrong-concave", "a tilted cap", [tilt - _X**2 / 2], small, -(SIGMA**2) / 2,
                    "f_D(x) <= E f_D(x+e)"),
    ]  # fmt: skip


EXAMPLES: Mapping[str, ExampleLoss] = {
    each.name: each for each in (_tilted_torus(), _stiff_torus(), _probit_regression(), *_wrong())
}
"""By name; the first three satisfy all assumptions."""


def example_loss(name: str) -> ExampleLoss:
    """The example of that name.

    Raises:
        InputError: there is none.
    """
    if name not in EXAMPLES:
        raise InputError(f"unknown example '{name}'; choose one of: {', '.join(EXAMPLES)}")
    return EXAMPLES[name]
