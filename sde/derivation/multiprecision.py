"""A rule's exact step and its SDE's coefficients in multi-precision numbers, on an analytic landscape.

Points are arrays of ``mpmath.mpf``, shape ``(N, d)``; the precision is mpmath's when a function is called.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np
import sympy
from numpy.typing import NDArray
from torch import Tensor

from ..rules.bindings import Values
from ..rules.interpretation import interpret
from ..rules.leaves import POSITION
from ..rules.recursion import Recursion
from ..rules.rule import Rule
from .coordinates import in_coordinates
from .derived_sde import SDE

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape

__all__ = ["ObjectArray", "exact_blocks", "exact_step", "sde_coefficients"]

ObjectArray = NDArray[np.object_]


def sde_coefficients(
    sde: SDE, landscape: "Landscape", values: Values
) -> Callable[[ObjectArray, Any, Any], tuple[ObjectArray, ObjectArray]]:
    """A function of points, ``rho`` and ``eta`` to ``b``, ``(N, d)``, and the centred noise, ``(N, M, d)``.

    Example:
        >>> import mpmath, numpy as np
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import find_rule, truncate
        >>> from eigensam.sde.derivation.multiprecision import sde_coefficients
        >>> b = sde_coefficients(truncate(find_rule("sgd"), 1, 1), Quadratic([[3.0]], centres=[[0.0]]), {})
        >>> with mpmath.workdps(30):
        ...     drift, noise = b(np.array([[mpmath.mpf(1) / 3]]), mpmath.mpf(0), mpmath.mpf(1))
        >>> drift.tolist(), noise.tolist()
        ([[mpf('-1.0')]], [[[mpf('0.0')]]])
    """
    found = in_coordinates(sde, landscape)
    columns = [found.drift, *found.noise]
    entries = [entry for column in columns for entry in column]
    compiled = sympy.lambdify(found.arguments, entries, "mpmath", cse=True, dummify=True)  # a name may be a function's
    shape = (len(columns), landscape.dim)

    def evaluate(x: ObjectArray, rho: Any, eta: Any) -> tuple[ObjectArray, ObjectArray]:
        symbols = [mpmath.mpf(values[name]) for name in sde.rule.parameters]
        symbols += [component for name in sde.rule.directions for component in _components(values[name])]
        flat = [_real(compiled, (*point, rho, eta, *symbols), math.prod(shape)) for point in x]
        found = np.array(flat, dtype=object).reshape(len(x), *shape)
        noise = np.broadcast_to(found[:, 1:], (len(x), landscape.size, landscape.dim))  # one column if all are the same
        return found[:, 0], noise

    return evaluate


def exact_step(rule: Rule, landscape: "Landscape", values: Values) -> Callable[[ObjectArray, Any], ObjectArray]:
    """A function of points and ``rho`` to the rule's increments ``h_m``, ``(N, M, d)``: its expression, not expanded.

    Example:
        >>> import mpmath, numpy as np
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import find_rule
        >>> from eigensam.sde.derivation.multiprecision import exact_step
        >>> h = exact_step(find_rule("sam"), Quadratic([[2.0]], centres=[[0.0]]), {})
        >>> h(np.array([[mpmath.mpf(1)]]), mpmath.mpf("0.5")).tolist()
        [[[mpf('-3.0')]]]
    """
    derivatives = _Derivatives(landscape)

    def at(x: ObjectArray, rho: Any) -> ObjectArray:
        result = -interpret(rule.step, x, _Multiprecision(derivatives, {**values, "rho": rho}))
        return np.array(np.broadcast_to(result, (landscape.size, landscape.dim)))

    return lambda points, rho: np.stack([at(point[None], rho) for point in points])


def exact_blocks(
    recursion: Recursion, landscape: "Landscape", values: Values
) -> Callable[[Mapping[str, ObjectArray], Any, Any, Any], dict[str, ObjectArray]]:
    """A function of blocks ``(d,)``, ``eta``, ``rho`` and time to the blocks after one step, ``(M, d)``.

    A step that draws several minibatches has an axis ``M`` for each.

    Example:
        >>> import mpmath, numpy as np
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> momentum = Recursion("momentum", parse_statements("m = 9/10*m + g; x = x - eta*m"))
        >>> step = exact_blocks(momentum, Quadratic([[2.0]], centres=[[0.0]]), {})
        >>> one = np.array([mpmath.mpf(1)])
        >>> print(step({"x": one, "m": one}, mpmath.mpf("0.1"), 0, 0)["m"])
        [[mpf('2.8999999999999999')]]
    """
    derivatives = _Derivatives(landscape)
    draws = recursion.draws or [""]
    schedules = {name: schedule.compiled("mpmath") for name, schedule in recursion.schedules.items()}

    def step(blocks: Mapping[str, ObjectArray], eta: Any, rho: Any, time: Any) -> dict[str, ObjectArray]:
        spread = {name: block.reshape(*([1] * len(draws)), -1) for name, block in blocks.items()}
        bound = {**values, "eta": eta, "rho": rho, **{name: s(time)[0] for name, s in schedules.items()}}
        numbers = _Multiprecision(derivatives, bound, draws, spread)
        shape = (*([landscape.size] * len(draws)), landscape.dim)
        return {
            name: np.array(np.broadcast_to(interpret(value, spread[POSITION], numbers), shape))
            for name, value in recursion.new_values.items()
        }

    return step


@dataclass(frozen=True)
class _Multiprecision:
    """Arrays of ``mpf`` at a point: vectors of shape ``(M, d)``, scalars of shape ``(M,)``, an ``M`` for each draw."""

    derivatives: "_Derivatives"
    values: Mapping[str, Any]
    draws: Sequence[str] = ("",)
    blocks: Mapping[str, ObjectArray] = field(default_factory=dict)

    def number(self, value: Fraction) -> ObjectArray:
        return np.array([_ratio(value)], dtype=object)

    def parameter(self, name: str) -> ObjectArray:
        return np.array([mpmath.mpf(self.values[name])], dtype=object)

    scheduled = parameter

    def direction(self, name: str) -> ObjectArray:
        return np.array([_components(self.values[name])], dtype=object)

    def state(self, name: str) -> ObjectArray:
        return self.blocks[name]

    def gradients(self, x: ObjectArray, directions: Sequence[ObjectArray], draw: str) -> ObjectArray:
        if len(self.draws) == 1:
            return self.derivatives.gradients(x, directions)
        return self._for_each_other(draw, self.derivatives.gradients, x, directions)

    def losses(self, x: ObjectArray, draw: str) -> ObjectArray:
        if len(self.draws) == 1:
            return self.derivatives.losses(x)
        return self._for_each_other(draw, lambda y, _: self.derivatives.losses(y), x, [])

    def _for_each_other(
        self,
        draw: str,
        function: Callable[[ObjectArray, Sequence[ObjectArray]], ObjectArray],
        x: ObjectArray,
        directions: Sequence[ObjectArray],
    ) -> ObjectArray:
        """Of one draw, for every choice of the others."""
        axis, count = self.draws.index(draw), len(self.draws)
        last = [_spread(v, count) for v in (x, *directions)]
        last = [np.moveaxis(v, axis, count - 1) for v in last]
        others = np.broadcast_shapes(*(v.shape[: count - 1] for v in last))
        last = [np.broadcast_to(v, (*others, *v.shape[count - 1 :])) for v in last]
        found = [function(last[0][i], [v[i] for v in last[1:]]) for i in np.ndindex(*others)]
        return np.moveaxis(np.array(found, dtype=object).reshape(*others, *found[0].shape), count - 1, axis)

    def norm(self, vector: ObjectArray) -> ObjectArray:
        return _each(mpmath.sqrt, (vector**2).sum(-1))

    def sign(self, scalar: ObjectArray) -> ObjectArray:
        return _each(mpmath.sign, scalar)

    def power(self, base: ObjectArray, exponent: Fraction) -> ObjectArray:
        power = _ratio(exponent)
        return _each(lambda b: _real(lambda c: [mpmath.power(c, power)], (b,), 1)[0], base)

    def mean(self, values: ObjectArray, last: int) -> ObjectArray:
        axes = tuple(range(last - len(self.draws) + 1, last + 1))
        return np.asarray(values.sum(axes, keepdims=True) / math.prod(values.shape[axis] for axis in axes))


def _spread(vector: ObjectArray, draws: int) -> ObjectArray:
    """With an axis for each draw in front of its components."""
    return vector.reshape(*([1] * (draws + 1 - vector.ndim)), *vector.shape)


def _each(function: Callable[[Any], Any], values: ObjectArray) -> ObjectArray:
    return np.array([function(value) for value in values.flat], dtype=object).reshape(values.shape)


class _Derivatives:
    """Losses and contracted gradients of every member, compiled once per number of directions."""

    def __init__(self, landscape: "Landscape") -> None:
        self.size, self.dim = landscape.size, landscape.dim
        self._x = sympy.symbols([f"x_{i}" for i in range(self.dim)], real=True)
        self._formulas = landscape.formulas(self._x)
        self._compiled = cache(self._compile)

    def _compile(self, count: int) -> list[Callable[..., Sequence[Any]]]:
        directions = [
            sympy.symbols([f"a_{k}_{i}" for i in range(self.dim)], real=True) for k in range(max(count - 1, 0))
        ]
        result = []
        for formula in self._formulas:
            for direction in directions:
                formula = sum(
                    (a * sympy.diff(formula, x) for a, x in zip(direction, self._x, strict=True)), sympy.Integer(0)
                )
            outputs = [sympy.diff(formula, x) for x in self._x] if count else [formula]
            arguments = [*self._x, *(a for direction in directions for a in direction)]
            result.append(sympy.lambdify(arguments, outputs, "mpmath", cse=True))
        return result

    def _values(self, count: int, x: ObjectArray, directions: Sequence[ObjectArray]) -> ObjectArray:
        rows = []
        for m, function in enumerate(self._compiled(count)):
            arguments = [array[m % len(array)] for array in (x, *directions)]
            rows.append(_real(function, [a for row in arguments for a in row], self.dim if count else 1))
        return np.array(rows, dtype=object)

    def losses(self, x: ObjectArray) -> ObjectArray:
        """Shape ``(M,)`` at points ``(1|M, d)``."""
        return np.asarray(self._values(0, x, [])[:, 0])

    def gradients(self, x: ObjectArray, directions: Sequence[ObjectArray]) -> ObjectArray:
        """``grad^{k+1} f_m(x)[a_1, ..., a_k, .]``, shape ``(M, d)``."""
        return self._values(1 + len(directions), x, directions)


def _ratio(value: Fraction) -> Any:
    return mpmath.mpf(value.numerator) / value.denominator


def _components(value: float | Tensor) -> list[Any]:
    """Of a direction: a unit vector in double precision, made one in this precision, as derivations assume."""
    assert isinstance(value, Tensor)
    components = [mpmath.mpf(component) for component in value.tolist()]
    length = mpmath.sqrt(sum(c**2 for c in components))
    return [c / length for c in components]


def _real(function: Callable[..., Sequence[Any]], arguments: Sequence[Any], count: int) -> list[Any]:
    """Its values; NaN, as in double precision, where they are not real or a denominator is 0."""
    try:
        found = function(*arguments)
    except ZeroDivisionError:
        return [mpmath.nan] * count
    return [mpmath.nan if isinstance(entry, mpmath.mpc) else mpmath.mpf(entry) for entry in found]
