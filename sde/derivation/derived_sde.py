"""From a rule, a weak order and an exponent of ``rho`` to the SDE that has that order (theory, sections 2 and 3)."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property
from numbers import Integral
from typing import Any

from ...ground.errors import InputError
from ..algebra.effort import limited_effort
from ..algebra.sums import Sum
from ..rules.leaves import POSITION
from ..rules.plain_styles import UNICODE
from ..rules.recursion import Recursion
from ..rules.rule import Rule
from ..rules.style import Style
from .assumptions import assumptions
from .averaging.recursion_parts import RecursionParts
from .equations import expression_texts, latex_equations, power, unicode_equations
from .expansion import expand
from .exponents import rational
from .identities import Alignment, alignment_of
from .proof import Proof, prove
from .recursion_equations import RecursionEquations, block_texts, powers_texts, show_blocks
from .rule_parts import RuleParts

__all__ = ["SDE", "Dropped", "derive", "truncate"]

_MOST_POWERS = 12
"""Ours: an expansion to rho^12 already asks for 14 derivatives of the loss."""


@dataclass(frozen=True)
class Dropped:
    """A term that an SDE leaves out, and the order in ``eta`` of the global error that this costs.

    Attributes:
        part: ``drift``, ``correction`` or ``covariance``.
        rho_power: its power of ``rho``.
        order: ``q``, if the error is ``O(eta^q)``.
        term: the coefficient of that power; of a covariance, the new increment that enters it.
    """

    part: str
    rho_power: int
    order: Fraction
    term: Sum

    def __str__(self) -> str:
        where = f" of {power('ρ', self.rho_power)}" if self.rho_power else ""
        term = show_blocks(self.term, UNICODE)
        return f"{self.part}: the coefficient{where}, {term}, costs O({power('η', self.order)})"

    def to_dict(self) -> dict[str, Any]:
        """Everything in it for JSON; rationals as text, the term as text and LaTeX."""
        found = {"part": self.part, "rho_power": self.rho_power, "order": str(self.order)}
        return found | block_texts(self.term)


@dataclass(frozen=True, eq=False, repr=False)  # compared as itself: the code generated from it is kept beside it
class SDE:
    """``dX = (E h + eta b_1) dt + sqrt(eta) Cov(h')^{1/2} dW``, ``h`` and ``h'`` truncated in ``rho``.

    Attributes:
        rule: what it approximates.
        rho_exponent: ``beta`` in ``rho = c eta^beta``.
        increments: ``h_k``, the increment's coefficients of ``rho^k`` that the drift keeps.
        correction: the coefficients of ``rho^k`` of ``b_1 = -1/2 (Db) b`` that it keeps; empty for a weak order of 1.
        covariance: ``h_k`` that the covariance keeps; empty for an ODE.
        dropped: the first terms left out; of a recursion, those of the drift.
        ordered: what pairs of minibatches add to ``b_1`` in a given order, before its mean.
        covariance_order: how many powers of ``rho`` the covariance keeps.
        correction_order: how many ``b_1`` keeps.

    Example:
        It prints as its equations, and a notebook shows them as formulas:

        >>> from eigensam.sde import derive, find_rule
        >>> derive(find_rule("sam"), weak_order=1, rho_exponent="1/2")
        SDE of sam for ρ = c η^(1/2), weak order 1 proved
          dX = b dt + √η Σ^(1/2) dW
          b  = -∇f - ρ E[Hg/‖g‖]
          Σ  = Cov(h)   with h = -g - ρ Hg/‖g‖
    """

    rule: Rule | Recursion
    rho_exponent: Fraction
    increments: Mapping[int, Sum]
    correction: Mapping[int, Sum]
    covariance: Mapping[int, Sum]
    dropped: tuple[Dropped, ...]
    ordered: Mapping[int, Sum] = field(default_factory=dict)
    covariance_order: int = 0
    correction_order: int = 0

    @cached_property
    def parts(self) -> RecursionParts | None:
        """Where a recursion's SDE comes from; None for a rule without memory."""
        return RecursionParts(self.rule, self.rho_exponent) if isinstance(self.rule, Recursion) else None

    @property
    def rate_letter(self) -> str:
        """What its rate is called in print."""
        return "η" if self.rate == 1 else "ε"

    @property
    def memoryless(self) -> Rule:
        """The rule, where it has no memory.

        Raises:
            InputError: it is a recursion.
        """
        if isinstance(self.rule, Rule):
            return self.rule
        raise InputError(
            f"'{self.rule.name}' is a recursion, with a state, epochs or schedules; this works for rules without "
            "memory: give one such as sam, or an expression"
        )

    @property
    def blocks(self) -> tuple[str, ...]:
        """What it is an SDE of: the position ``x``, and the blocks of memory that move slowly."""
        return (POSITION,) if self.parts is None else self.parts.blocks

    @property
    def rate(self) -> Fraction:
        """The effective rate ``eps``, the time of one step of training, as a multiple of the learning rate."""
        return Fraction(1) if self.parts is None else self.parts.rate

    @property
    def memory(self) -> dict[str, Fraction]:
        """Of a recursion's fast blocks: by how much a step multiplies them at ``eta = 0``."""
        return {} if self.parts is None else self.parts.effective(Fraction(1)).step.factors

    @cached_property
    def corrector(self) -> dict[str, dict[int, Sum]]:
        """``chi``, by slow block: the SDE starts at ``x_0 + eta chi(x_0, m_0)``; empty where ``x_0`` will do."""
        if self.parts is None or not self.correction_order:
            return {}
        largest = 2 + (self.correction_order - 1) * self.rho_exponent
        found = {
            name: {k: value for k, value in powers.items() if k < self.correction_order}
            for name, powers in self.parts.effective(largest).corrector.items()
        }
        return {name: powers for name, powers in found.items() if powers}

    @property
    def drift(self) -> dict[int, Sum]:
        """``E h_k``, the drift's coefficients of ``rho^k`` at ``eta = 0``."""
        means = {k: h.mean() for k, h in self.increments.items()}
        return {k: b for k, b in means.items() if b}

    @cached_property
    def proof(self) -> Proof:
        """Both one-step operators, matched power by power."""
        with limited_effort():
            if self.parts is not None:
                found = dict(self.increments), dict(self.correction), dict(self.covariance)
                return self.parts.prove(*found, dict(self.ordered), self.covariance_order)
            rule = self.rule
            assert isinstance(rule, Rule)
            expansion = cache(lambda order: expand(rule, order))
            return prove(expansion, self.increments, self.correction, self.covariance, self.rho_exponent)

    @property
    def weak_order(self) -> Fraction:
        """The order that the proof finds: the exponent of the first mismatch, minus 1."""
        return self.proof.weak_order

    @property
    def highest_derivative(self) -> int:
        """The highest derivative of the minibatch losses that occurs."""
        return max((part.smoothness for part in self._parts), default=0)

    @property
    def smoothness(self) -> int:
        """How many derivatives the SDE and the remainder of its drift need: those of the first drift term left out."""
        remainder = [d.term.smoothness for d in self.dropped if d.part == "drift"]
        return max(self.highest_derivative, *remainder, 1)

    @property
    def assumptions(self) -> list[str]:
        """What the claim assumes of the losses and of the rule."""
        return self.assumptions_in(UNICODE)

    def assumptions_in(self, style: Style) -> list[str]:
        """The assumptions with formulas in a style."""
        terms = [*self._parts, *(d.term for d in self.dropped)]
        return assumptions(self.rule, self.rho_exponent, self.smoothness, terms, style, self.memory)

    @property
    def alignment(self) -> Alignment | None:
        """How its third-order drift splits along an eigenvector; None without such a drift or such a split."""
        if 2 not in self.increments or not self.rule.perturbed or not isinstance(self.rule, Rule):
            return None
        try:
            return alignment_of(self.rule)
        except InputError:
            return None

    def __repr__(self) -> str:
        proved = f", weak order {self.weak_order} proved" if "proof" in self.__dict__ else ""  # it may take minutes
        head = f"SDE of {self.rule.name} for ρ = c {power(self.rate_letter, self.rho_exponent)}{proved}"
        return "\n".join([head, *self.lines()])

    def lines(self, *, statements: bool = False) -> list[str]:
        """Its equations for a terminal; of a recursion with the effective rate, and, if asked for, its statements."""
        if self.parts is None:
            return unicode_equations(self.drift, self.correction, self.covariance)
        return RecursionEquations(self, latex=False).lines(statements=statements)

    def latex_lines(self) -> str:
        """Its equations as the rows of an aligned equation."""
        if self.parts is None:
            return latex_equations(self.memoryless, self.drift, self.correction, self.covariance)
        return RecursionEquations(self, latex=True).latex_lines()

    def _repr_latex_(self) -> str:
        return f"$$\\begin{{aligned}}\n{self.latex_lines()}\n\\end{{aligned}}$$"

    def to_dict(self) -> dict[str, Any]:
        """Everything that is known of it for JSON: rationals as text such as ``2/3``, expressions as text and LaTeX.

        Example:
            >>> from eigensam.sde import find_rule, truncate
            >>> truncate(find_rule("sgd"), 1, 1).to_dict()["drift"]
            {'0': {'text': '-Df', 'latex': '-\\\\nabla f'}}
        """
        split = self.alignment
        return {
            "rule": self.rule.name,
            "step": str(self.rule.step),
            "rho_exponent": str(self.rho_exponent),
            "weak_order": str(self.weak_order),
            "drift": powers_texts(self.drift),
            "correction": powers_texts(self.correction),
            "increments_of_the_covariance": powers_texts(self.covariance),
            "dropped": [term.to_dict() for term in self.dropped],
            **self.proof.to_dict(),
            "perturbation": None if split is None else expression_texts(split.perturbation),
            "share_of_eigenvalue_gradient": None if split is None else expression_texts(split.share),
            "highest_derivative": self.highest_derivative,
            "assumptions": self.assumptions,
            **({} if self.parts is None else RecursionEquations(self, latex=False).to_dict()),
        }

    @property
    def _parts(self) -> list[Sum]:
        return [*self.increments.values(), *self.correction.values(), *self.covariance.values(), *self.ordered.values()]


@limited_effort()
def truncate(
    rule: Rule | Recursion,
    rho_exponent: Any,
    drift_order: int,
    *,
    covariance_order: int | None = None,
    correction_order: int = 0,
) -> SDE:
    """The SDE with given numbers of powers of ``rho``; :func:`derive` chooses them for a weak order.

    Args:
        rule: the update rule, or a recursion.
        rho_exponent: rational ``beta > 0``.
        drift_order: the drift keeps ``rho^0 .. rho^{drift_order - 1}``: 1, 2, 3 are the first-, second- and
            third-order SDEs of the literature.
        covariance_order: the same for the covariance (default: as the drift); 0 drops the noise.
        correction_order: the same for ``b_1``; 0 has no correction.

    Raises:
        InputError: orders that are negative, or too high for the rule's smoothness; a rule without expansion.

    Example:
        >>> from eigensam.sde import find_rule, truncate
        >>> sde = truncate(find_rule("sam"), "1/3", 2)
        >>> sde.drift, sde.weak_order
        ({0: -Df, 1: -E[H[g]/|g|]}, Fraction(2, 3))
    """
    _check_rule(rule)
    beta = rational(rho_exponent)
    if beta <= 0:
        raise InputError(f"rho exponent {beta} is not positive; give e.g. 1/3 for rho = c * eta^(1/3)")
    covariance_order = drift_order if covariance_order is None else covariance_order
    for name, value in (("drift", drift_order), ("covariance", covariance_order), ("correction", correction_order)):
        least = 1 if name == "drift" else 0
        if not isinstance(value, Integral) or not least <= value <= _MOST_POWERS:
            raise InputError(f"{name} order {value} is not available; choose {least} to {_MOST_POWERS}")
    parts = RuleParts(rule) if isinstance(rule, Rule) else RecursionParts(rule, beta)
    dropped = _first_dropped(parts.drift, "drift", drift_order, Fraction(0), beta)
    if isinstance(rule, Rule):  # of a recursion the next power takes longer than all that is kept
        dropped += _first_dropped(parts.correction, "correction", correction_order, Fraction(1), beta)
        dropped += _first_dropped(parts.covariance, "covariance", covariance_order, Fraction(1), beta)
    increments, correction = parts.increments(drift_order), parts.correction(correction_order)
    covariance, ordered = parts.covariance(covariance_order), parts.ordered(correction_order)
    if not (increments or covariance or dropped):
        raise InputError(f"rule '{rule.name}': the step {rule.step} is 0; give one that moves x")
    dropped.sort(key=lambda d: d.order)
    orders = int(covariance_order), int(correction_order)
    result = SDE(rule, beta, increments, correction, covariance, tuple(dropped), ordered, *orders)
    if rule.smoothness is not None and result.smoothness > rule.smoothness:
        raise InputError(
            f"rule '{rule.name}' with rho exponent {beta}: these terms and their remainder need derivatives of the "
            f"losses up to order {result.smoothness}; the rule declares {rule.smoothness}; ask for a lower weak order "
            "or a larger rho exponent, or declare more smoothness"
        )
    return result


def _first_dropped(
    part: Callable[[int], Mapping[int, Sum]], name: str, kept: int, order: Fraction, beta: Fraction
) -> list[Dropped]:
    """The first nonzero power of rho from ``kept`` on; a symmetric rule lacks every second one."""
    for k in range(kept, kept + 3):
        if term := part(k + 1).get(k, Sum()):
            return [Dropped(name, k, order + k * beta, term)]
    return []


def _covariance_powers(rule: Rule | Recursion, beta: Fraction, most: int) -> int:
    """How many powers of the covariance are known, of a recursion for whose order 1 none is needed."""
    if isinstance(rule, Rule):
        return most
    parts = RecursionParts(rule, beta)
    for count in range(most, 0, -1):
        with suppress(InputError):
            parts.covariance(count)
            return count
    return 0


def _check_rule(rule: Any) -> None:
    if not isinstance(rule, Rule | Recursion):
        raise InputError(f"found {rule!r}; expected a rule: find_rule('sam'), or Rule('name', step)")


@limited_effort()
def derive(rule: Rule | Recursion, weak_order: int, rho_exponent: Any) -> SDE:
    """The SDE of a rule with weak order ``p`` for ``rho = c eta^beta``.

    The drift keeps ``rho^k`` for ``k beta < p``; for ``p = 2`` the correction ``b_1 = -1/2 (Db) b`` and the covariance
    keep ``rho^k`` for ``k beta < 1``. At ``p = 1`` the order does not need the covariance at all; it is kept as the
    drift is, as in the paper, since it makes the constant smaller.

    Args:
        rule: the update rule.
        weak_order: 1 or 2.
        rho_exponent: rational ``beta > 0``.

    Raises:
        InputError: an order that no SDE driven by Brownian motion has, or that needs more smoothness than the rule
            declares; an exponent that is not rational or not positive; a rule without expansion.

    Source: the paper, Theorem 4.2, for ``p = 1`` and SAM; Li, Tai and E 2019 for ``p = 2`` and SGD.

    Example:
        >>> from eigensam.sde import derive, find_rule
        >>> sde = derive(find_rule("sam"), weak_order=1, rho_exponent="1/3")
        >>> sde.drift[2], sde.weak_order
        (-1/2 E[T[g,g]/|g|^2], Fraction(1, 1))
    """
    _check_rule(rule)
    beta = rational(rho_exponent)
    if weak_order not in (1, 2) or isinstance(weak_order, bool):
        more = (
            "order 3 needs the third moments of the minibatch noise, which an SDE driven by Brownian motion lacks"
            if weak_order == 3
            else "choose 1 or 2"
        )
        raise InputError(f"weak order {weak_order} is impossible here: {more}")
    if beta <= 0:
        raise InputError(f"rho exponent {beta} is not positive; give e.g. 1/3 for rho = c * eta^(1/3)")
    drift_order, second = math.ceil(weak_order / beta), math.ceil((weak_order - 1) / beta)
    if drift_order > _MOST_POWERS:
        raise InputError(
            f"weak order {weak_order} at rho exponent {beta} keeps rho^{drift_order - 1} in the drift and needs "
            f"{drift_order + 1} derivatives of the losses; at most {_MOST_POWERS} powers are expanded, give a rho "
            f"exponent of at least {Fraction(weak_order, _MOST_POWERS)}"
        )
    kept = second if weak_order == 2 else drift_order
    try:
        sde = truncate(rule, beta, drift_order, covariance_order=kept, correction_order=second)
    except InputError:
        fewer = kept if weak_order == 2 else _covariance_powers(rule, beta, kept)
        if fewer == kept:
            raise
        sde = truncate(rule, beta, drift_order, covariance_order=fewer, correction_order=second)
    if sde.weak_order < weak_order and isinstance(rule, Recursion):
        raise InputError(
            f"recursion '{rule.name}': the proof finds weak order {sde.weak_order} only, in "
            f"{', '.join(match.name for match in sde.proof.mismatch)}: its noise is no covariance over one minibatch; "
            "ask for weak order 1 or a larger rho exponent"
        )
    assert sde.weak_order >= weak_order, f"{sde.proof.mismatch} contradicts the count of powers"
    return sde
