"""One step of a recursion as an operator on expressions, graded in ``eta`` and ``rho``."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ....ground.errors import InputError
from ...algebra.states import Graded, averaged, inserted, leaf_labels, time_derivative
from ...algebra.sums import Sum
from ...algebra.terms import PARAMETER, Collector, relabelled
from ...algebra.trees import EMPTY, GAMMA, STATE, Tree
from ...rules.leaves import POSITION, State
from ...rules.recursion import Recursion
from ..expansion import Grading, expand_expression, poles

__all__ = ["OneStep", "Powers", "renamed"]

Powers = dict[int, Sum]
"""Coefficients by power of ``rho``."""

_TIME = "t"  # of the test function's arguments that the schedules add
_PROTECTED = -1000  # minibatches that an average leaves alone


@dataclass(frozen=True, eq=False)
class OneStep:
    """Blocks after one step, expanded, and what that does to functions of them.

    Slow blocks are those that stay where they are at ``eta = 0``; the others are fast and have to forget.

    Args:
        recursion: whose step.
        rho_exponent: ``beta`` in ``rho = c eta^beta``.
        largest: exponents ``a + k beta`` up to this one are kept.
    """

    recursion: Recursion
    rho_exponent: Fraction
    largest: Fraction

    @cached_property
    def draws(self) -> dict[str, int]:
        """Label of a minibatch to its number in sums: the step's own is ``GAMMA``."""
        named = [label for label in self.recursion.draws if label]
        if len(self.recursion.draws) == 1:  # the step's own, whatever it is called
            return {"": GAMMA} | dict.fromkeys(named, GAMMA)
        return {"": GAMMA} | {label: -2 - i for i, label in enumerate(named)}

    def fits(self, a: int, k: int) -> bool:
        """Whether the power ``eta^a rho^k`` is kept."""
        return a + k * self.rho_exponent <= self.largest

    @cached_property
    def _changes(self) -> dict[str, Graded]:
        """Every block's change in one step; of position ``x``, and of slow blocks, without a power ``eta^0``."""
        return {name: self._expanded(name) for name in self.recursion.new_values}

    def _expanded(self, name: str) -> dict[tuple[int, int], Sum]:
        p, q = self.rho_exponent.numerator, self.rho_exponent.denominator
        grading = Grading(p, q, self.draws)
        order, change = math.floor(self.largest * q), self.recursion.new_values[name] - State(name)
        try:
            series = expand_expression(change, order + p * poles(change), grading)
        except InputError as error:
            raise InputError(f"recursion '{self.recursion.name}', block {name}: {error}") from None
        if series.order < order:
            raise InputError(
                f"recursion '{self.recursion.name}', block {name}: its expansion ends before the powers that are asked "
                "for; simplify its powers of rho"
            )
        result: dict[tuple[int, int], Collector] = {}
        for power, coefficient in series.truncated(order).coefficients.items():
            for (vector, factors), c in coefficient.terms.items():
                a = sum(int(e) for atom, e in factors if atom == (PARAMETER, "eta"))
                rest = tuple(factor for factor in factors if factor[0] != (PARAMETER, "eta"))
                k, remainder = divmod(power - a * q, p)
                if remainder or k < 0:
                    raise InputError(
                        f"recursion '{self.recursion.name}', block {name}: it grows like a negative power of rho"
                    )
                result.setdefault((a, k), Collector()).add(vector, rest, c)
        return {power: found for power, each in result.items() if (found := Sum(each.terms))}

    @cached_property
    def slow(self) -> tuple[str, ...]:
        """The position and the blocks that move by a multiple of ``eta``."""
        found = tuple(name for name, change in self._changes.items() if not any(a == 0 for a, _ in change))
        if POSITION not in found:
            k, moved = min((k, value) for (a, k), value in self._changes[POSITION].items() if a == 0)
            shown = f"{moved}" if k == 0 else f"rho^{k} times {moved}"
            raise InputError(
                f"recursion '{self.recursion.name}': x moves by {shown} without a factor eta, "
                "so no differential equation is near it; multiply what is added to x by eta"
            )
        return found

    @cached_property
    def fast(self) -> tuple[str, ...]:
        """The blocks that move at ``eta = 0``."""
        return tuple(name for name in self._changes if name not in self.slow)

    @cached_property
    def moves(self) -> dict[str, Graded]:
        """Of slow blocks: what one step adds."""
        return {name: self._changes[name] for name in self.slow}

    @cached_property
    def maps(self) -> dict[str, Graded]:
        """Of fast blocks: their new values."""
        result: dict[str, Graded] = {}
        for name in self.fast:
            change = dict(self._changes[name])
            change[0, 0] = change.get((0, 0), Sum()) + Sum.state(name)
            result[name] = {power: value for power, value in change.items() if value}
        return result

    @cached_property
    def factors(self) -> dict[str, Fraction]:
        """By how much each fast block is multiplied in one step.

        Raises:
            InputError: a map that is not affine with rational factors, or does not contract.
        """
        found: dict[str, Fraction] = {}
        for name, graded in self.maps.items():
            for term, c in graded.get((0, 0), Sum()).terms.items():
                try:
                    inside = list(leaf_labels(term, self.fast))
                except InputError as error:
                    raise InputError(
                        f"recursion '{self.recursion.name}': at eta = rho = 0 the new value of {name} contains "
                        f"{Sum({term: c})}: {error}; only affine memory, such as 9/10*{name} + g, has an average in "
                        "closed form"
                    ) from None
                if not inside:
                    continue
                vector = term[0]
                if term[1] or not vector or vector[0] != STATE:
                    raise InputError(
                        f"recursion '{self.recursion.name}': at eta = rho = 0 the new value of {name} contains "
                        f"{Sum({term: c})}, which is no rational multiple of {inside[0]}; only affine memory has an "
                        "average in closed form: write the factor as a number such as 9/10"
                    )
                if vector[1] == name:
                    found[name] = c
            found.setdefault(name, Fraction(0))
            if not abs(found[name]) < 1:
                raise InputError(
                    f"recursion '{self.recursion.name}': a step multiplies {name} by {found[name]}, so it never "
                    "forgets and has no average; give a factor below 1, or let it move by a multiple of eta (friction: "
                    f"{name} = {name} + eta*...)"
                )
        return found

    def mean(self, expression: Sum) -> Sum:
        """``E`` over the minibatches of the step."""
        return averaged(expression, self.draws.values(), self.recursion.distinct)

    def protected(self, expression: Sum) -> Sum:
        """With the step's minibatches renamed so that :meth:`mean` leaves them alone."""
        return renamed(expression, {s: _PROTECTED - i for i, s in enumerate(self.draws.values())})

    def exposed(self, expression: Sum) -> Sum:
        """The inverse of :meth:`protected`."""
        return renamed(expression, {_PROTECTED - i: s for i, s in enumerate(self.draws.values())})

    def stepped(
        self, function: Sum, most: int, time: Fraction, kept: Callable[[int], bool], *, mean: bool = True
    ) -> Powers:
        """The coefficient of ``eta^most`` of a function of the state after one step, ``E psi(z+, t + time eta)``.

        Args:
            function: of the blocks, a scalar or a vector.
            most: the power of ``eta``.
            time: how far time moves in one step, in units of ``eta``.
            kept: whether a power of ``rho`` is.
            mean: whether to average over the step's minibatches.
        """
        total: Powers = {}
        variables = [*self.slow, *([_TIME] if self.recursion.schedules else [])]
        for count in range(most + 1):
            for chosen in itertools.combinations_with_replacement(variables, count):
                weight = Fraction(1, math.prod(math.factorial(n) for n in Counter(chosen).values()))
                fillings: list[tuple[Tree, Graded]] = []
                moved, shift = function, 0
                for i, name in enumerate(chosen):
                    if name == _TIME:
                        moved, shift, weight = (
                            time_derivative(moved, self.recursion.schedules),
                            shift + 1,
                            weight * time,
                        )
                    else:
                        slot: Tree = (EMPTY, i + 1, ())
                        moved = moved.differentiated(slot, name)
                        fillings.append((slot, self.moves[name]))
                if not moved:
                    continue
                found = inserted(
                    moved,
                    self.maps,
                    fillings,
                    lambda a, k, shift=shift: a + shift <= most and kept(k),  # type: ignore[misc]
                )
                for (a, k), value in found.items():
                    if a + shift == most:
                        total[k] = total.get(k, Sum()) + (self.mean(value) if mean else value) * weight
        return {power: value for power, value in total.items() if value}

    def stepped_powers(
        self, functions: Powers, most: int, time: Fraction, level: int = 0, *, mean: bool = True
    ) -> Powers:
        """As :meth:`stepped`, of a function that is a series in ``rho`` and stands with a power of ``eta`` already.

        Args:
            functions: by power of ``rho``.
            most: the power of ``eta`` that the step contributes.
            time: how far time moves in one step.
            level: the power of ``eta`` that the function stands with: with it, fewer powers of ``rho`` count.
            mean: whether to average over the step's minibatches.
        """
        total: Powers = {}
        for k, function in functions.items():
            found = self.stepped(
                function,
                most,
                time,
                lambda j, k=k: self.fits(most + level, j + k),  # type: ignore[misc]
                mean=mean,
            )
            for j, value in found.items():
                total[j + k] = total.get(j + k, Sum()) + value
        return {power: value for power, value in total.items() if value}


def renamed(expression: Sum, samples: Mapping[int, int]) -> Sum:
    """The same for other minibatches."""
    result = Collector()
    for term, c in expression.terms.items():
        result.add(*relabelled(term, samples), c)
    return Sum(result.terms)
