"""The terms that a claimed order needs, and what a measurement would see of a mistake in each.

An SDE of order ``p`` has to have every term whose absence costs an order below ``p``: ``rho^k`` of the drift with
``k beta < p``, ``rho^k`` of ``b_1`` and of the noise with ``1 + k beta < p``. A measurement on which such a term has
no visible influence (its coefficient vanishes on the landscape, the test functions do not see it, ``rho`` is tiny)
measures the same slope for a wrong coefficient and for the right one, and confirms nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..algebra.sums import Sum
from ..derivation.derived_sde import SDE, truncate

__all__ = ["CHANGE", "Term", "needed_terms"]

CHANGE = Fraction(1, 10)
"""The relative change of a coefficient whose influence is measured."""

_FIELDS = {"drift": "increments", "correction": "correction", "order": "ordered", "noise": "covariance"}
_EQUAL = 1e-9  # orders are rational, the claim may be a float


@dataclass(frozen=True, eq=False)
class Term:
    """One coefficient of the SDE that has the claimed order.

    Attributes:
        part: ``drift``, ``correction``, ``order`` (what a law of the minibatches adds to the correction where not all
            pairs are alike) or ``noise``.
        rho_power: ``k``.
        order: what is left without it.
        right: the SDE that has all needed terms.
        changed: the same with this coefficient changed by :data:`CHANGE` of itself.
    """

    part: str
    rho_power: int
    order: Fraction
    right: SDE
    changed: SDE

    @property
    def alone(self) -> SDE:
        """The change itself, without any other term: for the drift and the correction, which are sums."""
        field = _FIELDS[self.part]
        coefficient = getattr(self.right, field)[self.rho_power]
        empty: dict[str, Mapping[int, Sum]] = {each: {} for each in _FIELDS.values()}
        return replace(self.right, **empty | {field: {self.rho_power: coefficient * CHANGE}})

    def __str__(self) -> str:
        return f"rho^{self.rho_power} of the {'order of minibatches' if self.part == 'order' else self.part}"


def needed_terms(sde: SDE, order: float) -> list[Term]:
    """Those of the rule of an SDE, by their power of ``rho``; the SDE itself may lack them.

    Raises:
        InputError: more powers of ``rho`` than are expanded.

    Example:
        >>> from eigensam.sde import find_rule, truncate
        >>> from eigensam.sde.weak_order.needed_terms import needed_terms
        >>> [(str(term), str(term.order)) for term in needed_terms(truncate(find_rule("sam"), "1/2", 1), 1.0)]
        [('rho^0 of the drift', '0'), ('rho^1 of the drift', '1/2')]
    """
    beta = sde.rho_exponent
    first, second = (max(0, math.ceil((order - least - _EQUAL) / float(beta))) for least in (0, 1))
    if not first:
        return []
    right = truncate(replace(sde.rule, smoothness=None), beta, first, covariance_order=second, correction_order=second)
    result = []
    for part, field in _FIELDS.items():
        least = 0 if part == "drift" else 1
        kept: Mapping[int, Sum] = getattr(right, field)
        for k, coefficient in kept.items():
            if part == "drift" and not coefficient.mean():
                continue
            part_changed: dict[str, Any] = {field: {**kept, k: coefficient * (1 + CHANGE)}}
            changed = replace(right, **part_changed)
            result.append(Term(part, k, least + k * beta, right, changed))
    return result
