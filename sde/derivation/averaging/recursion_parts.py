"""Drift, correction and noise of a recursion's SDE in units of its effective rate, by the number of powers kept.

One step of training takes the time ``eps = W eta / s``, where ``-W`` times the mean gradient is the position's drift
and ``s`` steps of training are one of the recursion: ``dX = (b_0 + eps b_1) dt + sqrt(eps) Sigma^{1/2} dW``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ....ground.errors import InputError
from ...algebra.scopes import crossing
from ...algebra.sums import Sum
from ...algebra.terms import CONTRACTION, NESTED, Collector, samples
from ...algebra.trees import GAMMA, INTO, LOSS, nodes
from ...rules.leaves import POSITION
from ...rules.recursion import Recursion
from ...rules.sampling import GivenOrder, Independent, Matrix
from ..proof import Proof
from .averaged_proof import prove_recursion
from .effective import Effective
from .epochs import EpochTerms
from .one_step import OneStep, Powers

__all__ = ["LAGGED", "RecursionParts", "by_block"]

LAGGED = "lagged"
"""The direction along which increments are differentiated in a given order: a weighted sum of others' increments."""


@dataclass(frozen=True)
class RecursionParts:
    """What an SDE of a recursion is made of; vectors of several blocks are sums of vectors put into each.

    Args:
        recursion: what is trained.
        rho_exponent: ``beta``.
    """

    recursion: Recursion
    rho_exponent: Fraction

    @cached_property
    def _cache(self) -> dict[Fraction, Effective]:
        return {}

    @cached_property
    def _epochs(self) -> dict[int, EpochTerms]:
        return {}

    def effective(self, largest: Fraction) -> Effective:
        """Up to an exponent."""
        if largest not in self._cache:
            self._cache[largest] = Effective(OneStep(self.recursion, self.rho_exponent, largest))
        return self._cache[largest]

    def _first(self, count: int) -> Effective:
        return self.effective(1 + max(count - 1, 0) * self.rho_exponent)

    def _second(self, count: int) -> Effective:
        return self.effective(2 + max(count - 1, 0) * self.rho_exponent)

    @property
    def rate(self) -> Fraction:
        """``W / s``: the effective rate as a multiple of ``eta``."""
        return self._first(1).rate / self.recursion.inner_steps

    @property
    def blocks(self) -> tuple[str, ...]:
        """The slow ones."""
        return self._first(1).step.slow

    @property
    def fast(self) -> tuple[str, ...]:
        """The blocks that are averaged over."""
        return self._first(1).step.fast

    def corrector(self, count: int) -> Powers:
        """``chi``: ``x + eta chi`` is what the SDE follows."""
        return _together(self._first(count).corrector, 1, count)

    def drift(self, count: int) -> Powers:
        """``b_0``."""
        one = self._first(count)
        return _together(one.drift, 1 / one.rate, count)

    def increments(self, count: int) -> Powers:
        """Those of the step's own minibatch, whose mean is ``b_0``; ``b_0`` itself where there are several draws.

        A power whose increments hold two minibatches at once, one's derivative along another's gradient, is its mean.
        """
        families = self._first(count).projections
        if set(families) - {""}:
            return self.drift(count)
        return _sum(self.drift(count), {k: h for k, h in self._family(count, 1)[0].items() if not crossing(h)})

    def correction(self, count: int) -> Powers:
        """``b_1``, less what pairs add that are not all alike."""
        if not count:
            return {}
        one = self._second(count)
        found = _together(one.correction, self.recursion.inner_steps / one.rate**2, count)
        return _sum(found, {k: v for k, v in self.epochs(count).correction.items() if k < count})

    def ordered(self, count: int) -> Powers:
        """Where pairs are not all alike: ``(D h)[lagged]`` of the step's minibatch, whose mean ``b_1`` has besides."""
        if not count or self.recursion.sampling.kernel([]) is None:
            return {}
        if self.recursion.schedules and isinstance(self.recursion.sampling, GivenOrder):
            raise InputError(
                f"recursion '{self.recursion.name}': in a given order minibatches at the beginning of an epoch always "
                "have another value of a schedule than those at its end, which is not derived at order 2; shuffle "
                "(SingleShuffle, Reshuffled), leave the schedule out, or ask for weak order 1"
            )
        next(self.epochs(count).lags(), None)  # refuses memory that takes up other increments at some power of rho
        lagged = Sum.direction(LAGGED)
        return {k: found for k, h in self.increments(count).items() if (found := h.along(lagged))}

    def covariance(self, count: int) -> Powers:
        """Increments of the step's own minibatch, whose covariance the noise has."""
        if not count:
            return {}
        base, scale = self._family(count, None)
        scale *= self.epochs(count).noise
        if not base or not scale:
            return {}
        if scale == 1 and not set(self._first(count).projections) - {""}:
            return _sum(self.drift(count), base)
        root = Sum.number(scale).power(Fraction(1, 2))
        return {k: value * root for k, value in base.items()}

    def epochs(self, count: int) -> EpochTerms:
        """What the law of the minibatches changes."""
        if not isinstance(self.recursion.sampling, Independent) and self.blocks != (POSITION,):
            raise InputError(
                f"recursion '{self.recursion.name}': epochs are derived for SDEs of the position alone, and "
                f"{', '.join(self.blocks[1:])} is slow, too; draw independently, or give memory a factor below 1"
            )
        if not isinstance(self.recursion.sampling, Independent) and self.recursion.inner_steps > 1:
            raise InputError(
                f"recursion '{self.recursion.name}': an epoch is counted in steps of training, and its statements are "
                f"{self.recursion.inner_steps} of them; leave inner steps at 1, or draw independently"
            )
        known = self.recursion.sampling.powers
        if known is not None:
            self._check_examples(count, known)
        if count not in self._epochs:
            self._epochs[count] = EpochTerms(self._second(count), self.increments(count))
        return self._epochs[count]

    def _check_examples(self, count: int, known: int) -> None:
        """Refuse powers of ``rho`` at which a law of examples does not know what pairs of minibatches add."""
        recursion = self.recursion
        if not _linear_in_examples(self.increments(1).get(0, Sum())):
            raise InputError(
                f"recursion '{recursion.name}': epochs of examples are derived for steps that are linear in the "
                "examples at rho = 0, as SGD's; give Reshuffled(batches), of minibatches that stay what they are, or "
                "draw independently"
            )
        if any(k > known for k in self.increments(count)):
            raise InputError(
                f"recursion '{recursion.name}': of epochs of examples the terms of pairs of minibatches are derived up "
                f"to rho^{known}, and rho^{count - 1} is asked for; give a rho exponent of at least "
                f"{Fraction(1, known + 1)}, or Reshuffled(batches), of minibatches that stay what they are"
            )

    @cached_property
    def kernel(self) -> Matrix | None:
        """Where pairs are not all alike: the weights of the other minibatches' increments in ``lagged``."""
        return self.epochs(1).kernel

    def _family(self, count: int, scale: int | None) -> tuple[Powers, Fraction]:
        """The increments that all draws share, centred, and how often the noise has their covariance."""
        one, recursion = self._first(count), self.recursion
        families = [
            _together(blocks, 1 / one.rate, count) for blocks in one.projections.values() if any(blocks.values())
        ]
        families = [found for found in families if found and (scale or 2 * min(found) < count)]
        if not families:
            return {}, Fraction(0)
        weights = [_ratio(found, families[0]) for found in families]
        if None in weights:
            raise InputError(
                f"recursion '{recursion.name}': its draws make noise of different kinds, which is no covariance over "
                "one minibatch; use the same function of each draw, a smaller weak order or a larger rho exponent"
            )
        squares = sum((w * w for w in weights if w), Fraction(0))
        if recursion.distinct is not None:
            # Of a linear statistic of k different minibatches of N, E[. | one] has (N - k)/(N - 1) of that one's part.
            k, n = len(weights), recursion.distinct
            if n == len(recursion.draws):  # all minibatches: nothing is random
                return {}, Fraction(0)
            if k < len(recursion.draws) or set(weights) != {1}:
                raise InputError(
                    f"recursion '{recursion.name}': its noise is derived for distinct draws that all play the same "
                    "part; use the same function of each, or draw independently"
                )
            squares *= Fraction(n - 1, n - k)
        return families[0], squares * recursion.inner_steps

    def prove(self, increments: Powers, correction: Powers, covariance: Powers, ordered: Powers, kept: int) -> Proof:
        """The order of an SDE with these parts.

        With epochs the part of independent minibatches is compared by operators, and what epochs add as an expression.

        Args:
            increments: of the drift.
            correction: ``b_1``.
            covariance: increments of the noise.
            ordered: see :meth:`ordered`.
            kept: how many powers of ``rho`` the noise keeps.
        """
        noise = covariance
        most = max([-1, *correction, *ordered]) + 1
        if not isinstance(self.recursion.sampling, Independent):
            silent = not self.recursion.sampling.random and not covariance
            kept = kept or (max(increments, default=0) + 1 if silent else 0)
            plain = self._family(kept, None)[0] if kept else {}
            noise = plain if silent or covariance == self.covariance(kept) else {}
            if most:
                epochs = {k: v for k, v in self.epochs(most).correction.items() if k < most}
                correction = _sum(correction, {k: -v for k, v in epochs.items()})
                if ordered != self.ordered(most):
                    correction = {}
        else:
            noise = {k: found for k, h in covariance.items() if (found := h - h.mean())}
        drift = {k: found for k, h in increments.items() if (found := h.mean())}
        parts = _apart(drift), _apart(correction), _apart(noise)
        return prove_recursion(self.effective, self.recursion, parts, self.rho_exponent)


def by_block(vector: Sum) -> dict[str, Sum]:
    """A vector of several blocks, taken apart.

    Example:
        >>> from eigensam.sde.algebra.sums import Sum
        >>> by_block(Sum.derivative())
        {'x': g}
    """
    found: dict[str, Collector] = {}
    for (tree, factors), c in vector.terms.items():
        if tree and tree[0] == INTO:
            found.setdefault(tree[1], Collector()).add(tree[2][0], factors, c)
        else:
            found.setdefault(POSITION, Collector()).add(tree, factors, c)
    return {name: Sum(each.terms) for name, each in found.items()}


def _linear_in_examples(vector: Sum) -> bool:
    """Whether each term has the minibatch once, in a numerator."""
    for tree, factors in vector.terms:
        found = [label for kind, label, _ in nodes(tree) if kind == LOSS] if tree else []
        for atom, exponent in factors:
            if atom[0] in NESTED:
                if GAMMA in samples(((), ((atom, exponent),))):
                    return False
            elif atom[0] == CONTRACTION:
                inside = [label for kind, label, _ in nodes(atom[1]) if kind == LOSS]
                found += inside if exponent == 1 else 2 * inside
        if found.count(GAMMA) > 1:
            return False
    return True


def _apart(powers: Powers) -> dict[str, Powers]:
    result: dict[str, Powers] = {}
    for k, vector in powers.items():
        for name, value in by_block(vector).items():
            result.setdefault(name, {})[k] = value
    return result


def _together(blocks: Mapping[str, Powers], scale: Fraction | int, count: int) -> Powers:
    """One series of vectors of all blocks, its first powers, scaled."""
    result: Powers = {}
    for name, powers in blocks.items():
        for k, value in powers.items():
            if k < count and value:
                moved = Sum({(_into(name, vector), factors): c for (vector, factors), c in value.terms.items()})
                result[k] = result.get(k, Sum()) + moved * Fraction(scale)
    return {k: result[k] for k in sorted(result) if result[k]}


def _into(name: str, vector: tuple[()] | tuple) -> tuple:  # type: ignore[type-arg]  # trees
    return vector if name == POSITION else (INTO, name, (vector,))


def _sum(left: Powers, right: Powers) -> Powers:
    return {k: found for k in sorted({*left, *right}) if (found := left.get(k, Sum()) + right.get(k, Sum()))}


def _ratio(one: Powers, other: Powers) -> Fraction | None:
    """``c`` with ``one = c other``; None where there is none."""
    if not other or one.keys() != other.keys():
        return None
    k = min(other)
    term = next(iter(other[k].terms))
    c = one[k].terms.get(term, Fraction(0)) / other[k].terms[term]
    return c if all(one[j] == other[j] * c for j in other) else None
