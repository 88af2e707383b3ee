"""A recursion's SDE and its slow variable in coordinates, compiled from the derivation.

The SDE follows ``y = z + eta chi(z, q)``, with ``z`` the slow blocks, ``q`` the fast ones and ``chi`` the corrector;
where memory is fast, ``z`` itself is ``y`` less something of size ``eta``. An evaluation that is independent of the
torch code of an SDE, by partial derivatives written out.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

import mpmath
import numpy as np
import sympy

from ...landscapes.landscape import Landscape
from ..algebra.sums import Sum
from ..derivation.averaging.recursion_parts import LAGGED, by_block
from ..derivation.coordinates import Components
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values
from ..rules.leaves import POSITION
from ..rules.recursion import Recursion

__all__ = ["Moment", "SlowVariable"]

_CORRECTED = Fraction(2)  # exponents of eta up to which a corrector matters: no SDE has a higher order


class Moment(NamedTuple):
    """What coefficients are read at besides a point: ``rho`` and time."""

    rho: Any
    time: Any


class SlowVariable:
    """Coefficients and corrector of a recursion's SDE.

    Args:
        sde: of a recursion.
        landscape: one with formulas.
        values: of the recursion's parameters and directions.
        library: whose numbers are given: ``mpmath``, one point at a time, or ``numpy``, arrays of equal shape.

    Example:
        Heavy ball follows ``y = x - eta 9/1 (m - 10 grad f)``:

        >>> import numpy as np
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> sde = derive(Recursion("momentum", parse_statements("m = 9/10*m + g; x = x - eta*m")), 1, 1)
        >>> slow = SlowVariable(sde, Quadratic([[2.0]], centres=[[0.0]]), {}, "numpy")
        >>> slow.fast, slow.corrector({"x": [np.ones(1)], "m": [np.zeros(1)]}, Moment(0.0, 0.0))["x"]
        (('m',), [array([180.])])
    """

    def __init__(self, sde: SDE, landscape: Landscape, values: Values, library: Literal["mpmath", "numpy"]) -> None:
        assert isinstance(sde.rule, Recursion)
        assert sde.parts is not None
        self.sde, self.landscape, self.library = sde, landscape, library
        self.recursion, self.parts, self._values = sde.rule, sde.parts, values
        self.slow = sde.blocks
        self.fast = tuple(name for name in self.recursion.blocks if name not in self.slow)
        self._schedules = [schedule.compiled(library) for schedule in self.recursion.schedules.values()]
        x = sympy.symbols([f"x_{i + 1}" for i in range(landscape.dim)], real=True)
        self._components = Components(x, landscape.formulas(x))

    def corrector(self, blocks: Mapping[str, Sequence[Any]], at: Moment) -> dict[str, list[Any]]:
        """``chi`` by slow block, from the components of all blocks."""
        found = self._corrector(*self._arguments(blocks, at))
        d = self.landscape.dim
        return {name: list(found[i * d : (i + 1) * d]) for i, name in enumerate(self.slow)}

    def coefficients(self, blocks: Mapping[str, Sequence[Any]], at: Moment, epsilon: Any) -> tuple[Any, Any]:
        """Drift ``(D,)`` and centred noise ``(M, D)``, the blocks' components one after the other, at one point."""
        found = np.array(self._coefficients(*self._arguments(blocks, at)), dtype=object)
        drift, correction, *noise = found.reshape(-1, self.landscape.dim * len(self.slow))
        columns = np.stack(noise)
        matrix = self.recursion.sampling.noise_matrix()
        if matrix is not None and self.sde.covariance:
            columns = _root(tuple(map(tuple, matrix)), mpmath.mp.prec) @ columns
        return drift + epsilon * correction, columns

    def _arguments(self, blocks: Mapping[str, Sequence[Any]], at: Moment) -> list[Any]:
        number = mpmath.mpf if self.library == "mpmath" else float
        result = [component for name in self.recursion.blocks for component in blocks[name]]
        result += [at.rho, *(number(self._values[name]) for name in self.recursion.parameters)]
        for name in self.recursion.directions:
            components = [number(c) for c in self._values[name].tolist()]  # type: ignore[union-attr]
            length = sum(c * c for c in components) ** (number(1) / 2)
            result += [c / length for c in components]
        for schedule in self._schedules:
            result += schedule(at.time)
        return result

    @cached_property
    def _symbols(self) -> list[sympy.Symbol]:
        c, recursion = self._components, self.recursion
        result = [s for name in recursion.blocks for s in (c.symbols if name == POSITION else c.direction(name))]
        result += [c.parameter(name) for name in ("rho", *recursion.parameters)]
        result += [s for name in recursion.directions for s in c.direction(name)]
        return result + [c.parameter(each) for name in recursion.schedules for each in (name, f"{name}'")]

    def _compiled(self, entries: Sequence[Any]) -> Callable[..., Sequence[Any]]:
        compiled: Callable[..., Sequence[Any]] = sympy.lambdify(
            self._symbols, list(entries), self.library, cse=True, dummify=True
        )
        return compiled

    @cached_property
    def _corrector(self) -> Callable[..., Sequence[Any]]:
        chi = self.parts.effective(_CORRECTED).corrector
        return self._compiled([entry for name in self.slow for entry in self._vector(chi.get(name, {}))[0]])

    @cached_property
    def _coefficients(self) -> Callable[..., Sequence[Any]]:
        sde = self.sde
        increments, noise = (self._members(powers) for powers in (sde.increments, sde.covariance))
        correction, centre = _mean(self._members(sde.correction)), _mean(noise)
        if sde.ordered:
            correction = [a + b for a, b in zip(correction, self._of_order(increments), strict=True)]
        columns = [[a - b for a, b in zip(member, centre, strict=True)] for member in noise]
        return self._compiled([entry for row in (_mean(increments), correction, *columns) for entry in row])

    def _members(self, powers: Mapping[int, Sum]) -> list[list[Any]]:
        """Of all slow blocks together, one list or one per member."""
        blocks: dict[str, dict[int, Sum]] = {name: {} for name in self.slow}
        for k, value in powers.items():
            for name, part in by_block(value).items():
                blocks[name][k] = part
        every = [self._vector(part) for part in blocks.values()]
        count = max(len(members) for members in every)
        return [[entry for members in every for entry in members[m % len(members)]] for m in range(count)]

    def _vector(self, powers: Mapping[int, Sum]) -> Any:
        total = Sum()
        for k, value in powers.items():
            total = total + value * Sum.parameter("rho").power(k)
        return self._components.vector(total)

    def _of_order(self, increments: list[list[Any]]) -> list[Any]:
        """What a given order adds to the correction, see :func:`.coefficients`."""
        kernel = self.parts.kernel
        assert kernel is not None
        total = []
        members, symbols = self._members(self.sde.ordered), self._components.direction(LAGGED)
        for m, weights in enumerate(kernel):
            lagged = [sum(w * increments[a][i] for a, w in enumerate(weights)) for i, _ in enumerate(symbols)]
            substituted = dict(zip(symbols, lagged, strict=True))
            total.append([entry.subs(substituted) for entry in members[m % len(members)]])
        return _mean(total)


@lru_cache(maxsize=8)
def _root(matrix: tuple[tuple[float, ...], ...], precision: int) -> Any:
    """The symmetric root in many digits, mpmath's precision."""
    values, vectors = mpmath.eigsy(mpmath.matrix(matrix))
    scaled = np.array([[vectors[i, j] for j in range(len(matrix))] for i in range(len(matrix))])
    roots = np.array([mpmath.sqrt(max(value, 0)) for value in values])
    return (scaled * roots) @ scaled.T


def _mean(members: list[list[Any]]) -> list[Any]:
    return [sum(column) / len(members) for column in zip(*members, strict=True)]
