"""An SDE in coordinates: exact sympy drift and covariance on an analytic landscape, compiled to numpy and to torch.

The second way, independent of :mod:`.code`, to evaluate an expression: every derivative of every loss is written out.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import sympy
import torch

from ...ground.errors import InputError
from ...landscapes.analytic.formula import compile_torch
from ..algebra.scopes import EXPECTATION, nested, opened
from ..algebra.sums import Sum
from ..algebra.terms import CONTRACTION, NUMBER, PARAMETER, SIGN, Atom, Factors
from ..algebra.trees import DIRECTION, GAMMA, LOSS, MEAN, POSITION, STATE, Tree
from .derived_sde import SDE

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape

__all__ = ["Components", "CoordinateSDE", "in_coordinates"]

Vector = list[sympy.Expr]
Members = list[Any]
"""One value per minibatch, or a single one that is the same for all."""


class Components:
    """Expressions in coordinates.

    Args:
        symbols: the coordinates.
        losses: one formula per member of the family.

    Example:
        >>> import sympy
        >>> from eigensam.sde.algebra.sums import Sum
        >>> from eigensam.sde.derivation.coordinates import Components
        >>> x, y = sympy.symbols("x y")
        >>> hg = Sum.derivative(Sum.derivative())
        >>> Components([x, y], [x**2 * y]).vector(hg)  # one member: [[2y, 2x], [2x, 0]] times (2xy, x^2)
        [[2*x**3 + 4*x*y**2, 4*x**2*y]]
    """

    def __init__(self, symbols: Sequence[sympy.Symbol], losses: Sequence[sympy.Expr]) -> None:
        self.symbols = list(symbols)
        self.dim = len(self.symbols)
        mean = sum(losses, sympy.Integer(0)) / len(losses)
        formulas = {**dict(enumerate(losses)), MEAN: mean}

        @cache
        def partial(member: int, indices: tuple[int, ...]) -> sympy.Expr:
            if not indices:
                return formulas[member]
            return sympy.diff(partial(member, indices[:-1]), self.symbols[indices[-1]])

        self._partial = partial
        self._members = range(len(losses))
        self._vectors: dict[Tree, Members] = {}

    @staticmethod
    def parameter(name: str) -> sympy.Symbol:
        """The symbol of a parameter: positive."""
        return sympy.Symbol(name, positive=True)

    def direction(self, name: str) -> Vector:
        """The symbols of a direction's components."""
        return [sympy.Symbol(f"{name}_{i + 1}", real=True) for i in range(self.dim)]

    def vector(self, expression: Sum) -> Members:
        """Components of a vector expression: one list per member, or one list if it depends on none."""
        return self._sum([(nested(term), c) for term, c in expression.terms.items()], self._scaled_vector) or [
            [sympy.Integer(0)] * self.dim
        ]

    def scalar(self, expression: Sum) -> Members:
        """A scalar expression per member, or once if it depends on none."""
        return self._sum(
            [(nested(term), c) for term, c in expression.terms.items()], lambda term, c: self._product(term[1], c)
        ) or [sympy.Integer(0)]

    def _sum(self, terms: list[Any], value: Callable[[Any, Fraction], Members]) -> Members:
        result: Members = []
        for term, c in terms:
            one = value(term, c)
            result = _zip(_add, result, one) if result else one
        return result

    def _scaled_vector(self, term: Any, c: Fraction) -> Members:
        vector, factors = term
        return _zip(lambda s, v: [s * vi for vi in v], self._product(factors, c), self._vector(vector))

    def _product(self, factors: Factors, c: Fraction = Fraction(1)) -> Members:
        result: Members = [sympy.Rational(c.numerator, c.denominator)]
        for atom, e in factors:
            power = sympy.Rational(e.numerator, e.denominator)
            powers = [base**power for base in self._atom(atom)]
            result = _zip(lambda a, b: a * b, result, powers)
        return result

    def _atom(self, atom: Atom) -> Members:
        kind, value = atom
        if kind == NUMBER:
            return [sympy.Integer(value)]
        if kind == PARAMETER:
            return [self.parameter(value)]
        if kind == CONTRACTION:
            return self._contraction(value)
        if kind == EXPECTATION:
            return [_mean(self._product(value[1]))]
        inside = self._sum(list(opened(atom)), lambda term, c: self._product(term[1], c))
        return [sympy.sign(a) for a in inside] if kind == SIGN else inside

    def _vector(self, tree: Tree) -> Members:
        if tree not in self._vectors:
            kind, label, children = tree
            if kind == DIRECTION:
                self._vectors[tree] = [self.direction(label)]
            elif kind == STATE:
                self._vectors[tree] = [self.symbols if label == POSITION else self.direction(label)]
            elif kind == EXPECTATION:
                vector, factors = label
                values = self._scaled_vector((vector, factors), Fraction(1))
                self._vectors[tree] = [[_mean([v[i] for v in values]) for i in range(self.dim)]]
            else:
                self._vectors[tree] = self._derivative(label, children, range(self.dim))
        return self._vectors[tree]

    def _contraction(self, tree: Tree) -> Members:
        kind, label, children = tree
        if kind == LOSS:
            return self._derivative(label, children, None)
        (child,) = children
        return _zip(
            lambda a, b: sum(ai * bi for ai, bi in zip(a, b, strict=True)),
            self._vector((kind, label, ())),
            self._vector(child),
        )

    def _derivative(self, label: int, children: tuple[Tree, ...], free: range | None) -> Members:
        """All contractions of partial derivatives with components, written out."""
        arguments = [self._vector(child) for child in children]
        members = list(self._members) if label == GAMMA else [MEAN]
        count = max([len(members), *(len(a) for a in arguments)])
        result: Members = []
        for m in range(count):
            loss = members[m % len(members)]
            vectors = [a[m % len(a)] for a in arguments]

            def contracted(first: tuple[int, ...], loss: int = loss, vectors: list[Vector] = vectors) -> sympy.Expr:
                total = sympy.Integer(0)
                for indices in itertools.product(range(self.dim), repeat=len(vectors)):
                    term = self._partial(loss, tuple(sorted((*first, *indices))))
                    for vector, i in zip(vectors, indices, strict=True):
                        term = term * vector[i]
                    total = total + term
                return total

            result.append(contracted(()) if free is None else [contracted((j,)) for j in free])
        return result


def _zip(function: Callable[[Any, Any], Any], a: Members, b: Members) -> Members:
    return [function(a[m % len(a)], b[m % len(b)]) for m in range(max(len(a), len(b)))]


def _add(a: Any, b: Any) -> Any:
    return [ai + bi for ai, bi in zip(a, b, strict=True)] if isinstance(a, list) else a + b


def _mean(values: list[sympy.Expr]) -> sympy.Expr:
    return sum(values, sympy.Integer(0)) / len(values)


@dataclass(frozen=True)
class CoordinateSDE:
    """``dX = b dt + sqrt(eta) Sigma^{1/2} dW`` in coordinates.

    Attributes:
        sde: where it comes from.
        x: the coordinates.
        drift: ``b``, a column of ``d`` exact expressions in ``x``, ``rho``, ``eta`` and the rule's symbols.
        noise: increments minus their mean, a column per member, whose mean product is the covariance.
        arguments: every symbol, in the order ``x``, ``rho``, ``eta``, parameters, components of directions.
    """

    sde: SDE
    x: tuple[sympy.Symbol, ...]
    drift: sympy.Matrix
    noise: tuple[sympy.Matrix, ...]
    arguments: tuple[sympy.Symbol, ...]

    @property
    def covariance(self) -> sympy.Matrix:
        """``Sigma``, ``d x d``."""
        d = len(self.x)
        return sympy.Matrix(d, d, lambda i, j: _mean([h[i] * h[j] for h in self.noise]))

    def compile(self, library: Literal["numpy", "torch"]) -> Callable[..., tuple[Any, Any]]:
        """A function ``(x, rho, eta, values)`` to ``b``, shape ``(..., d)``, and ``Sigma``, ``(..., d, d)``.

        ``x`` has shape ``(..., d)``; ``values`` is as in :func:`drift_and_covariance`. Sub-expressions that occur
        several times are computed once.

        Raises:
            InputError: another library.
        """
        d = len(self.x)
        flat = [*self.drift, *self.covariance]
        if library not in ("numpy", "torch"):
            raise InputError(f"library '{library}' is not one of: numpy, torch")
        stack: Any = np.stack if library == "numpy" else torch.stack
        numpy = library == "numpy"
        compiled = (
            sympy.lambdify(self.arguments, flat, "numpy", cse=True, dummify=True)
            if numpy
            else compile_torch(self.arguments, flat)
        )

        def evaluate(x: Any, rho: float, eta: float, values: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
            values = values or {}
            needed = [*self.sde.rule.parameters, *self.sde.rule.directions]
            if set(needed) != set(values) or x.shape[-1:] != (d,):
                raise InputError(
                    f"x of shape {tuple(x.shape)} and values of {sorted(values) or 'nothing'}; expected shape "
                    f"(..., {d}) and values of {needed or 'nothing'}"
                )
            given = [values[name] for name in self.sde.rule.parameters]
            given += [component for name in self.sde.rule.directions for component in values[name]]
            columns = compiled(*(x[..., i] for i in range(d)), rho, eta, *given)
            full = [column + 0 * x[..., 0] for column in columns]
            b, sigma = stack(full[:d], -1), stack(full[d:], -1)
            return b, sigma.reshape((*sigma.shape[:-1], d, d))

        return evaluate


def in_coordinates(sde: SDE, landscape: "Landscape") -> CoordinateSDE:
    """Write an SDE out on an analytic landscape.

    Args:
        sde: from :func:`derive` or :func:`truncate`.
        landscape: one with formulas.

    Raises:
        InputError: the landscape has no formulas.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive, find_rule, in_coordinates
        >>> found = in_coordinates(derive(find_rule("usam"), 1, "1/2"), Quadratic([[2.0]], centres=[[0.0], [1.0]]))
        >>> found.covariance[0].factor()
        (2*rho + 1)**2
    """
    if not isinstance(sde, SDE):
        raise InputError(f"found {type(sde).__name__}; expected an SDE: derive(rule, weak_order, rho_exponent)")
    x = sympy.symbols([f"x_{i + 1}" for i in range(landscape.dim)], real=True)
    components = Components(x, landscape.formulas(x))
    rho, eta = components.parameter("rho"), components.parameter("eta")

    def in_rho(coefficients: Mapping[int, Sum]) -> Members:
        total = Sum()
        for power, coefficient in coefficients.items():
            total = total + coefficient * Sum.parameter("rho").power(power)
        return components.vector(total)

    d = landscape.dim
    drift = [_mean([h[i] for h in in_rho(sde.increments)]) for i in range(d)]
    for i, b1 in enumerate(in_rho(sde.correction)[0]):
        drift[i] = drift[i] + eta * b1
    noisy = in_rho(sde.covariance)
    centre = [_mean([h[i] for h in noisy]) for i in range(d)]
    noise = tuple(sympy.Matrix([h[i] - centre[i] for i in range(d)]) for h in noisy)
    arguments = [*x, rho, eta, *(components.parameter(name) for name in sde.rule.parameters)]
    for name in sde.rule.directions:
        arguments += components.direction(name)
    if len({symbol.name for symbol in arguments}) < len(arguments):
        names = ", ".join(sorted(symbol.name for symbol in arguments))
        raise InputError(
            f"rule '{sde.rule.name}': a symbol has the name of a coordinate; rename it, these are taken: {names}"
        )
    if any(entry.has(sympy.DiracDelta) for entry in [*drift, *(entry for h in noise for entry in h)]):
        raise InputError("the losses are not smooth enough: a derivative contains DiracDelta; use smooth formulas")
    return CoordinateSDE(sde, tuple(x), sympy.Matrix(drift), noise, tuple(arguments))
