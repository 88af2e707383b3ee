"""The terms that a claimed order needs, and what a measurement would see of a mistake in each.

An SDE of order ``p`` has to have every term whose absence costs an order below ``p``: ``rho^k`` of the drift with
``k beta < p``, ``rho^k`` of ``b_1`` and of the noise with ``1 + k beta < p``. A measurement on which such a term has
no visible influence (its coefficient vanishes on the landscape, the test functions do not see it, ``rho`` is tiny)
measures the same slope for a wrong coefficient and for the right one, and confirms nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..algebra.sums import Sum
from ..algebra.terms import PARAMETER
from ..derivation.derived_sde import SDE, truncate

__all__ = ["CHANGE", "Term", "needed_terms"]

CHANGE = Fraction(1, 10)
"""The relative change of a coefficient whose influence is measured."""

_FIELDS = {"drift": "increments", "correction": "correction", "noise": "covariance"}
_OF_RECURSIONS = {"schedules": "correction", "epochs": "correction", "order of the minibatches": "ordered"}
"""What ``b_1`` of a recursion has besides: derivatives of schedules, and pairs of minibatches, alike or not."""
_EQUAL = 1e-9  # orders are rational, the claim may be a float


@dataclass(frozen=True, eq=False)
class Term:
    """One coefficient of the SDE that has the claimed order.

    Attributes:
        part: ``drift``, ``correction`` or ``noise``; of a recursion also ``schedules``, ``epochs`` and ``order of the
            minibatches``, parts of ``b_1`` that are changed by themselves.
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
        """The change itself, without any other term: for the drift and the correction of rules without memory."""
        field = (_FIELDS | _OF_RECURSIONS)[self.part]
        before, after = (getattr(each, field)[self.rho_power] for each in (self.right, self.changed))
        empty: dict[str, Mapping[int, Sum]] = {each: {} for each in [*_FIELDS.values(), "ordered"]}
        return replace(self.right, **empty | {field: {self.rho_power: after - before}})

    def __str__(self) -> str:
        return f"rho^{self.rho_power} of the {self.part}"


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
    for part, field, coefficients in _parts(right, second):
        least = 0 if part == "drift" else 1
        kept: Mapping[int, Sum] = getattr(right, field)
        for k, coefficient in coefficients.items():
            if part == "drift" and not coefficient.mean():
                continue
            part_changed: dict[str, Any] = {field: {**kept, k: kept.get(k, Sum()) + coefficient * CHANGE}}
            changed = replace(right, **part_changed)
            result.append(Term(part, k, least + k * beta, right, changed))
    return result


def _parts(sde: SDE, second: int) -> Iterator[tuple[str, str, Mapping[int, Sum]]]:
    """A part's name, the field of the SDE that has it, and its coefficients.

    What schedules and epochs add to ``b_1`` is apart, as a mistake in it may be small beside the rest.
    """
    apart = _apart(sde, second)
    for part, field in _FIELDS.items():
        own: Mapping[int, Sum] = getattr(sde, field)
        if part == "correction":
            others = apart["schedules"], apart["epochs"]
            own = {k: left for k, c in own.items() if (left := c - sum((o.get(k, Sum()) for o in others), Sum()))}
        yield part, field, own
    for part, field in _OF_RECURSIONS.items():
        yield part, field, apart[part]


def _apart(sde: SDE, second: int) -> dict[str, Mapping[int, Sum]]:
    found: dict[str, Mapping[int, Sum]] = {part: {} for part in _OF_RECURSIONS}
    if sde.parts is None or not second:
        return found
    rates = {f"{name}'" for name in sde.parts.recursion.schedules}
    moving = {
        k: Sum(
            {
                term: c
                for term, c in value.terms.items()
                if any(atom == (PARAMETER, r) for atom, _ in term[1] for r in rates)
            }
        )
        for k, value in sde.correction.items()
    }
    found["schedules"] = {k: value for k, value in moving.items() if value}
    found["epochs"] = {k: c for k, c in sde.parts.epochs(second).correction.items() if k in sde.correction}
    found["order of the minibatches"] = sde.ordered
    return found
