"""The weak order of an SDE, proved: both one-step operators on an abstract test function, power by power.

One step of the rule is ``(P phi)(x) = E phi(x + eta h)``, the SDE over a time ``eta`` is ``e^{eta L} phi`` with
``L = b.grad + (eta/2) Sigma : grad^2`` and ``b = b_0 + eta b_1``. Both are expanded in ``eta`` and ``rho``; the
coefficients are exact expressions in derivatives of the losses and of ``phi``, and equal ones are equal as canonical
forms. With ``rho = c eta^beta`` the first difference ``eta^a rho^k`` has exponent ``a + k beta``, the local error is of
that order, and the global error, the sum of ``1/eta`` local ones, has order ``a + k beta - 1``.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any

from ..algebra.printing import show
from ..algebra.series import Series
from ..algebra.sums import Sum
from ..algebra.trees import EMPTY, PHI, POSITION, Tree
from ..rules.plain_styles import UNICODE
from .equations import expression_texts, power_name

__all__ = ["Match", "Proof", "covariance_operator", "prove", "words"]

_LAST = 3
"""The largest exponent that is looked at: there third moments of the noise differ, so no order exceeds 2."""

_FIRST_SLOT: Tree = (EMPTY, 1, ())
_SECOND_SLOT: Tree = (EMPTY, 2, ())


@dataclass(frozen=True)
class Match:
    """The coefficients of ``eta^eta_power rho^rho_power`` of both operators on ``phi``.

    Attributes:
        eta_power: ``a``.
        rho_power: ``k``.
        exponent: ``a + k beta``.
        chain: of ``P phi``.
        sde: of ``e^{eta L} phi``.
    """

    eta_power: int
    rho_power: int
    exponent: Fraction
    chain: Sum
    sde: Sum

    @property
    def difference(self) -> Sum:
        """``chain - sde``, exactly."""
        return self.chain - self.sde

    @property
    def name(self) -> str:
        """The power in Unicode, such as ``η²ρ``."""
        return power_name(self.eta_power, self.rho_power)

    def __str__(self) -> str:
        shown = (
            f"difference {show(self.difference, UNICODE)}" if self.difference else f"both {show(self.chain, UNICODE)}"
        )
        return f"{self.name}, exponent {self.exponent}: {shown}"

    def to_dict(self) -> dict[str, Any]:
        """The power and its exponent for JSON, and the difference where there is one."""
        found = {"eta_power": self.eta_power, "rho_power": self.rho_power, "exponent": str(self.exponent)}
        return found | expression_texts(self.difference) if self.difference else found


@dataclass(frozen=True, repr=False)
class Proof:
    """What was compared.

    Example:
        >>> from eigensam.sde import derive, find_rule
        >>> derive(find_rule("sgd"), 2, 1).proof
        Proof of weak order 2: both one-step operators agree at η, η²; they differ first at exponent 3, in η³

    Attributes:
        matched: the powers at which both operators agree, up to the first exponent at which they do not.
        mismatch: the powers of that exponent with a difference; empty if there is none up to exponent 3.
        expansion: the rule's increment, exact up to a power of ``rho``; None for a recursion.
    """

    matched: tuple[Match, ...]
    mismatch: tuple[Match, ...]
    expansion: Callable[[int], Series] | None = field(compare=False)

    @property
    def largest_rho_power(self) -> int:
        """The largest power of ``rho`` that was compared."""
        return max((match.rho_power for match in (*self.matched, *self.mismatch)), default=0)

    @property
    def weak_order(self) -> Fraction:
        """The exponent of the first mismatch, minus 1 (2 where none was found)."""
        return self.mismatch[0].exponent - 1 if self.mismatch else Fraction(_LAST - 1)

    def __repr__(self) -> str:
        agree = ", ".join(match.name for match in self.matched) or "no power"
        differ = f"no power of exponent up to {_LAST} differs"
        if self.mismatch:
            where = ", ".join(match.name for match in self.mismatch)
            differ = f"they differ first at exponent {self.mismatch[0].exponent}, in {where}"
        return f"Proof of weak order {self.weak_order}: both one-step operators agree at {agree}; {differ}"

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """The powers that agree and those that do not, for JSON."""
        return {part: [match.to_dict() for match in getattr(self, part)] for part in ("matched", "mismatch")}


def prove(
    expansion: Callable[[int], Series],
    increments: Mapping[int, Sum],
    correction: Mapping[int, Sum],
    covariance: Mapping[int, Sum],
    rho_exponent: Fraction,
) -> Proof:
    """Compare the operators in the order of their exponents until they differ.

    Args:
        expansion: gives the rule's increment ``h``, exact up to a power of ``rho``.
        increments: what the SDE's drift keeps of it.
        correction: the coefficients of ``b_1``.
        covariance: what its covariance keeps of it.
        rho_exponent: ``beta``.
    """
    chain = _chain(expansion)
    sde = _semigroup(increments, correction, covariance)
    matched: list[Match] = []
    powers = [
        (a + k * rho_exponent, a, k) for a in (1, 2, 3) for k in range(math.floor((_LAST - a) / rho_exponent) + 1)
    ]
    for exponent, group in itertools.groupby(sorted(powers), key=lambda power: power[0]):
        found = [Match(a, k, exponent, chain(a, k), sde(a, k)) for _, a, k in group]
        different = tuple(match for match in found if match.difference)
        matched += [match for match in found if not match.difference and match.chain]
        if different:
            return Proof(tuple(matched), different, expansion)
    return Proof(tuple(matched), (), expansion)


def _splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Ordered ways to write a number as a sum of ``parts`` numbers >= 0."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _splits(total - first, parts - 1):
            yield (first, *rest)


def _chain(expansion: Callable[[int], Series]) -> Callable[[int, int], Sum]:
    """``1/a! sum_{k_1 + ... + k_a = k} E grad^a phi[h_{k_1}, ..., h_{k_a}]``."""

    def coefficient(a: int, k: int) -> Sum:
        total, known = Sum(), expansion(k)
        for split in _splits(k, a):
            vectors = [known[i] for i in split]
            if all(vectors):
                total = total + Sum.full_contraction(PHI, *vectors)
        return total.mean() * Fraction(1, math.factorial(a))

    return coefficient


def _semigroup(
    increments: Mapping[int, Sum], correction: Mapping[int, Sum], covariance: Mapping[int, Sum]
) -> Callable[[int, int], Sum]:
    """``L = L_0 + eta L_1``: the words in ``L_0`` and ``L_1`` of ``e^{eta L} = sum_n eta^n L^n / n!``."""
    drift = {k: h.mean() for k, h in increments.items()}

    def first(function: Sum, k: int) -> Sum:
        return function.along(drift[k]) if k in drift else Sum()

    def second(function: Sum, k: int) -> Sum:
        along = function.along(correction[k]) if k in correction else Sum()
        return along + covariance_operator(function, (covariance, covariance), k, (POSITION, POSITION))

    return words(first, second)


def words(
    first: Callable[[Sum, int], Sum],
    second: Callable[[Sum, int], Sum],
    weight: Callable[[int, int], Fraction] = lambda length, a: Fraction(1),
) -> Callable[[int, int], Sum]:
    """The coefficients of ``eta^a rho^k`` of ``e^{eta (L_0 + eta L_1)} phi``, from the words in both operators.

    Args:
        first: ``L_0``: of a function and a power of ``rho`` to that power's part.
        second: ``L_1``.
        weight: of a word by its length and its power ``a``, besides ``1/length!``, where units are others.
    """

    @cache
    def applied(word: tuple[int, ...], k: int) -> Sum:
        """The coefficient of ``rho^k`` of a word of operators on ``phi``, the leftmost operator last."""
        if not word:
            return Sum.full_contraction(PHI) if k == 0 else Sum()
        operator = (first, second)[word[0]]
        total = Sum()
        for i in range(k + 1):
            function = applied(word[1:], k - i)
            if function:
                total = total + operator(function, i)
        return total

    def coefficient(a: int, k: int) -> Sum:
        total = Sum()
        for length in range(1, a + 1):
            for word in itertools.product((0, 1), repeat=length):
                if length + sum(word) == a:
                    total = total + applied(word, k) * (weight(length, a) / math.factorial(length))
        return total

    return coefficient


def covariance_operator(
    function: Sum, powers: tuple[Mapping[int, Sum], Mapping[int, Sum]], k: int, blocks: tuple[str, str]
) -> Sum:
    """``1/2 Cov(h, h') : grad^2`` of a function, the part of ``rho^k``, ``h`` and ``h'`` increments of two blocks."""
    left, right = powers
    curvature = function.differentiated(_FIRST_SLOT, blocks[0]).differentiated(_SECOND_SLOT, blocks[1])
    total = Sum()
    for i, h in left.items():
        if k - i in right:
            other = right[k - i]
            together = curvature.fill(h, _FIRST_SLOT).fill(other, _SECOND_SLOT).mean()
            apart = curvature.fill(h.mean(), _FIRST_SLOT).fill(other.mean(), _SECOND_SLOT)
            total = total + (together - apart) * Fraction(1, 2)
    return total
