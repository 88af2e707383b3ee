"""Drift, correction and noise of the SDE of a rule without memory, by the number of powers of ``rho`` kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..algebra.series import Series
from ..algebra.sums import Sum
from ..rules.rule import Rule
from .expansion import expand

__all__ = ["RuleParts"]


@dataclass(frozen=True)
class RuleParts:
    """What an SDE is made of; a recursion's :class:`.averaging.recursion_parts.RecursionParts` has the same.

    Args:
        rule: the update rule.
    """

    rule: Rule

    def increments(self, count: int) -> dict[int, Sum]:
        """``h``."""
        return _kept(expand(self.rule, max(count - 1, 0)).coefficients, count)

    covariance = increments

    def drift(self, count: int) -> dict[int, Sum]:
        """``E h``."""
        return {k: b for k, h in self.increments(count).items() if (b := h.mean())}

    def correction(self, count: int) -> dict[int, Sum]:
        """``b_1``."""
        return _correction(expand(self.rule, count), count) if count else {}

    def ordered(self, count: int) -> dict[int, Sum]:
        """Nothing: minibatches are independent."""
        return {}


def _kept(coefficients: Mapping[int, Sum], count: int) -> dict[int, Sum]:
    return {k: c for k, c in sorted(coefficients.items()) if k < count and c}


def _correction(expansion: Series, count: int) -> dict[int, Sum]:
    """``-1/2 (Db) b`` with ``b = E h``, power by power."""
    drift = {k: h.mean() for k, h in expansion.coefficients.items()}
    result: dict[int, Sum] = {}
    for k in range(count):
        for i in range(k + 1):
            if i in drift and k - i in drift:
                result[k] = result.get(k, Sum()) + drift[i].along(drift[k - i]) * Fraction(-1, 2)
    return {k: c for k, c in result.items() if c}
