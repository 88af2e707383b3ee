"""The local error of a recursion's SDE, in many digits: one step, or one epoch, of the corrected test function.

A fast state ``q`` forgets within some steps, while the slow blocks ``z`` hardly move: so one step alone tells nothing,
and ``phi(z)`` has a local error of order 2, averaged over ``q``, or 1, for each ``q``, even where the SDE is right.
What the proof compares is the slow variable ``y = z + eta chi(z, q)``: ``D = E phi(y+) - (e^{h L} phi)(y)``. At
``eta^2`` it is 0 on the average over the invariant law of ``q`` where ``z`` is held, and then a second corrector exists
that makes it 0 for each ``q``. So the local error is that average. It needs no corrector of the second order, since it
is a sum over nodes: memory is affine, so a matrix on polynomials has its invariant law, see
:mod:`.invariant_quadrature`.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import mpmath
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...ground.errors import InputError
from ..derivation.derived_sde import SDE
from ..derivation.multiprecision import exact_blocks
from ..rules.bindings import bind
from ..rules.recursion import Recursion
from ..simulation.problems.coefficients import Coefficients, coefficients
from ..simulation.splitting import splitting_mean
from .claim import Claim
from .divisor_check import Divisor
from .invariant_quadrature import invariant_weights, nodes_of_box
from .needed_terms import Term
from .recursion_divisors import recursion_divisors
from .recursion_draws import Blocks, after_period, period_of
from .slow_variable import Moment, SlowVariable

__all__ = ["RecursionOneStep"]

_TIME = 0.25  # at which schedules are read: their derivative is not 0 there, as it often is at the ends
_MOST_NODES = 64  # beyond, solving for the invariant law takes seconds for each point and step size
_CHANGE = 1e-4  # ours: of points, for derivatives of test functions in double precision

Array = NDArray[np.object_]
Functions = Callable[[Any], Any]


class RecursionOneStep:
    """One period of a recursion against its SDE, for :func:`.verify_one_step`.

    Args:
        claim: about an SDE of a recursion; its step sizes are effective rates.
        points: positions ``(P, d)``; other slow blocks get points of their own.
        corrected: whether the test function is; without, any memory leaves a local error of order 2.

    Raises:
        InputError: memory of too many components; an epoch of too many orders; a family of another size.
    """

    def __init__(self, claim: Claim, points: Tensor, *, corrected: bool = True) -> None:
        recursion, f = claim.sde.rule, claim.landscape
        assert isinstance(recursion, Recursion)
        self.claim, self.sde = claim, claim.sde
        self.landscape, self.recursion, self.corrected = f, recursion, corrected
        self.values, self.dim = claim.values, f.dim
        bound = bind(recursion, f, claim.rho_scale, claim.values)
        self._exact = exact_blocks(recursion, f, bound)
        self.variable = SlowVariable(claim.sde, f, bound, "mpmath")
        self.slow, self.fast = self.variable.slow, self.variable.fast
        self.period = period_of(recursion, f.size)
        self.degree = max(3, math.ceil(2 / claim.sde.rho_exponent)) if recursion.perturbed else 3
        components = f.dim * len(self.fast)
        if (self.degree + 1) ** components > _MOST_NODES:
            raise InputError(
                f"recursion '{recursion.name}' has memory of {components} components, whose invariant law takes "
                f"{self.degree + 1}^{components} nodes here, at most {_MOST_NODES} are solved for; verify on a "
                "landscape of fewer coordinates, with a larger rho exponent, or by verify_moments on a quadratic"
            )
        others = [points.roll(i, -1) / (i + 1) + 0.3 for i, _ in enumerate(self.slow[1:], 1)]
        self.points = torch.cat([points, *others], -1)

    def divisors(self) -> list[Divisor]:
        """What the recursion divides by at its points, with memory 0."""
        law, eta = self.claim, self.claim.etas[0]
        parts = self.points[:, None].split(self.dim, -1)
        blocks = dict(zip(self.slow, parts, strict=True)) | {name: torch.zeros_like(parts[0]) for name in self.fast}
        learning = eta / float(self.sde.rate)
        return recursion_divisors(self.recursion, self.landscape, blocks, law.rho(eta), learning, self.values, _TIME)

    @property
    def length(self) -> int:
        """Steps of training in a period."""
        return self.period.steps * self.recursion.inner_steps

    def step(self, law: Claim, x: Tensor, eta: float, test_functions: Functions) -> tuple[Array, Array]:
        """Both sides of the average of ``D`` over the invariant law: shape ``(P, K)``.

        Args:
            law: of ``rho``.
            x: points of all slow blocks.
            eta: the effective rate.
            test_functions: of all slow blocks.
        """
        epsilon, beta = mpmath.mpf(eta), self.sde.rho_exponent
        rho = mpmath.mpf(law.rho_scale) * epsilon ** _ratio(beta)
        found = [self._at(point, epsilon, rho, test_functions) for point in x.tolist()]
        chain, semigroup = (np.stack(each) for each in zip(*found, strict=True))
        return chain, semigroup

    def _at(self, point: Sequence[float], epsilon: Any, rho: Any, functions: Functions) -> tuple[Array, Array]:
        d, t = self.dim, mpmath.mpf(_TIME)
        z = [mpmath.mpf(c) for c in point]
        slow = {name: np.array(z[i * d : (i + 1) * d], dtype=object) for i, name in enumerate(self.slow)}
        eta = epsilon / _ratio(self.sde.rate)
        end = t + self.length * epsilon
        nodes = self._nodes(slow, rho, t)
        chains, weights = [], []
        for sequences in self.period.worlds:
            held = partial(self._held, slow, rho, t, sequences)
            weights.append(invariant_weights(held, nodes, self.degree) if self.fast else [mpmath.mpf(1)])
            total: Any = 0
            for weight, node in zip(weights[-1], nodes, strict=True):
                ends = after_period(self._trained(eta, rho, t), {**slow, **self._memory(node)}, sequences)
                after = [functions(self._corrected(blocks, Moment(rho, end), eta)[None])[0] for blocks in ends]
                total = total + weight * sum(after[1:], after[0]) / len(after)
            chains.append(total)
        law = [sum(each) / len(weights) for each in zip(*weights, strict=True)]
        here = Moment(rho, t)
        every = [self._corrected({**slow, **self._memory(node)}, here, eta) for node in nodes]
        semigroup = splitting_mean(
            lambda y: self._field(y, rho, epsilon)[0],
            lambda y: self._field(y, rho, epsilon)[1],
            np.array([[*y, t] for y in every], dtype=object),
            lambda y: functions(y[:, :-1]),
            self.length * epsilon,
        )
        solution = sum(w * value for w, value in zip(law, semigroup, strict=True))
        return sum(chains[1:], chains[0]) / len(chains), solution

    def _field(self, y: Array, rho: Any, epsilon: Any) -> tuple[Array, Array]:
        """Drift and columns with time as a last coordinate; the columns for kicks of as many steps as a period has."""
        found = [
            self.variable.coefficients({**self._slow(row), **self._unused()}, Moment(rho, row[-1]), epsilon)
            for row in y
        ]
        one, zero = mpmath.mpf(1), mpmath.mpf(0)
        drift = np.stack([np.append(b, one) for b, _ in found])
        scale = 1 / mpmath.sqrt(self.length)
        columns = np.stack([np.stack([np.append(c * scale, zero) for c in noise]) for _, noise in found])
        return drift, columns

    def _slow(self, row: Array) -> Blocks:
        return {name: row[i * self.dim : (i + 1) * self.dim] for i, name in enumerate(self.slow)}

    def _memory(self, node: Array) -> Blocks:
        return {name: node[i * self.dim : (i + 1) * self.dim] for i, name in enumerate(self.fast)}

    def _unused(self) -> Blocks:
        return self._memory(np.array([mpmath.mpf(0)] * (self.dim * len(self.fast)), dtype=object))

    def _corrected(self, blocks: Blocks, at: Moment, eta: Any) -> Array:
        z = np.concatenate([blocks[name] for name in self.slow])
        if not (self.fast and self.corrected):
            return z
        chi = self.variable.corrector(blocks, at)
        return np.array(z + eta * np.concatenate([np.array(chi[name], dtype=object) for name in self.slow]))

    def _trained(self, eta: Any, rho: Any, t: Any, held: bool = False) -> Callable[[Blocks, int], Blocks]:
        """Steps from a time on; at a held time and ``eta = 0`` only the memory moves."""
        step = 0 if held else eta * _ratio(self.sde.rate) * self.recursion.inner_steps

        def trained(blocks: Blocks, j: int) -> Blocks:
            found = self._exact(blocks, 0 * eta if held else eta, rho, t + j * step)
            return {name: block.reshape(-1, self.dim) for name, block in found.items()}

        return trained

    def _held(self, slow: Blocks, rho: Any, t: Any, sequences: Sequence[tuple[int, ...]], node: Array) -> Array:
        """Memory after a period with the slow blocks held: ``(outcomes, components)``."""
        ends = after_period(self._trained(mpmath.mpf(0), rho, t, True), {**slow, **self._memory(node)}, sequences)
        return np.stack([np.concatenate([blocks[name] for name in self.fast]) for blocks in ends])

    def _nodes(self, slow: Blocks, rho: Any, t: Any) -> Array:
        """Of a box of about the size that memory has."""
        if not self.fast:
            return np.empty((1, 0), dtype=object)
        first = self._exact({**slow, **self._unused()}, mpmath.mpf(0), rho, t)
        entries: list[Any] = [abs(entry) for name in self.fast for entry in first[name].flat]
        size = max(entries)
        parts = self.sde.parts
        assert parts is not None
        factor = max(abs(value) for value in parts.effective(Fraction(1)).step.factors.values())
        return nodes_of_box(size / (1 - _ratio(factor)) + 1, self.degree, self.dim * len(self.fast))

    def influences(self, claim: Claim, terms: list[Term], x: Tensor, test_functions: Functions) -> dict[Term, float]:
        """How far a change of each coefficient moves one period, to leading order, in double precision."""
        epsilon = claim.etas[-1]
        rho, h, here = claim.rho(epsilon), self.length * epsilon, test_functions(x)

        def at(sde: SDE) -> Coefficients:
            return coefficients(self.landscape, sde, x[:, None], rho, self.values, time=_TIME)

        def second(columns: Tensor) -> Tensor:
            size = float(torch.linalg.vector_norm(columns, dim=-1).max()) or 1.0
            both = [test_functions(x + s * k * _CHANGE / size) - here for k in columns.unbind(1) for s in (1.0, -1.0)]
            result: Tensor = sum(both[1:], both[0]) * (size / _CHANGE) ** 2 / (2 * columns.shape[1])
            return result

        result = {}
        for term in terms:
            if term.part == "noise":
                moved = epsilon * h * (second(at(term.changed).columns()) - second(at(term.right).columns()))
            else:
                if term.part == "drift":  # alone: beside the others it would drown in rounding
                    more = at(term.alone).increments.mean(-2)
                else:
                    more = epsilon * (at(term.changed).correction - at(term.right).correction)
                size = float(torch.linalg.vector_norm(more, dim=-1).max()) or 1.0
                step = more * (_CHANGE / size)
                moved = h * (test_functions(x + step) - test_functions(x - step)) * (size / _CHANGE) / 2
            result[term] = float(moved.abs().max())
        return result


def _ratio(value: Fraction) -> Any:
    return mpmath.mpf(value.numerator) / value.denominator
