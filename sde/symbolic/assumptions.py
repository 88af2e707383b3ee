"""What a derivation assumes, read off its terms."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from .algebra import Atom, Sum, samples
from .printing import UNICODE, factor
from .rules import Rule
from .trees import GAMMA

__all__ = ["assumptions"]


def assumptions(rule: Rule, rho_exponent: Fraction, smoothness: int, terms: Iterable[Sum]) -> list[str]:
    """Sentences, those on smoothness first.

    Args:
        rule: the update rule.
        rho_exponent: ``beta``.
        smoothness: the highest derivative of the losses in the SDE.
        terms: the increment's coefficients, whose divisors and signs must not vanish.
    """
    result = [
        f"every minibatch loss has at least {smoothness + 1} continuous derivatives, and as many more as make the SDE's "
        "coefficients smooth enough for the backward equation (2p + 2 derivatives); all of polynomial growth",
        "drift and diffusion are Lipschitz and all moments of the rule's iterates are bounded on [0, T]",
        "minibatches are drawn uniformly and independently of each other",
    ]
    if rule.perturbed:
        result.append(f"ρ = c η^({rho_exponent}) with a constant c > 0")
    divisors, signs = set(), set()
    for atom, e in _factors(terms):
        if atom[0] == "g":
            signs.add(factor(atom, Fraction(1), UNICODE))
        elif e < 0 and atom[0] in "ts":
            shown = factor(atom, Fraction(1, 2), UNICODE)
            every = ", for every minibatch" if GAMMA in samples(((), ((atom, e),))) else ""
            divisors.add(f"{shown} is bounded away from 0{every}")
    result += sorted(divisors)
    result += [f"the argument of {sign} is not 0: the rule jumps where it is" for sign in sorted(signs)]
    for name in rule.directions:
        result.append(f"{name} is a unit vector that does not depend on x (frozen between its refreshes)")
    for name in rule.parameters:
        result.append(f"{factor(('a', name), Fraction(1), UNICODE)} is a positive constant that does not depend on η")
    return result


def _factors(terms: Iterable[Sum]) -> Iterator[tuple[Atom, Fraction]]:
    for term in terms:
        for _, factors in term.terms:
            yield from factors
