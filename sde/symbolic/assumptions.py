"""What a derivation assumes, read off its terms."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from .algebra import Sum
from .printing import UNICODE, Style, factor
from .rules import Rule
from .terms import Atom, samples
from .trees import GAMMA

__all__ = ["assumptions"]


def assumptions(
    rule: Rule, rho_exponent: Fraction, smoothness: int, terms: Iterable[Sum], style: Style = UNICODE
) -> list[str]:
    """Sentences, those on smoothness first.

    Args:
        rule: the update rule.
        rho_exponent: ``beta``.
        smoothness: the highest derivative of the losses in the SDE.
        terms: the increment's coefficients, whose divisors and signs must not vanish.
        style: how formulas are written.
    """
    math = style.math
    result = [
        f"every minibatch loss has at least {smoothness + 1} continuous derivatives, and as many more as make the "
        f"SDE's coefficients smooth enough for the backward equation ({math('2p + 2')} derivatives); all of polynomial "
        "growth",
        f"drift and diffusion are Lipschitz and all moments of the rule's iterates are bounded on {math('[0, T]')}",
        "minibatches are drawn uniformly and independently of each other",
    ]
    if rule.perturbed:
        law = f"{style.name('rho')} = c {style.power(style.name('eta'), rho_exponent, False)}"
        result.append(f"{math(law)} with a constant {math('c > 0')}")
    divisors, signs = set(), set()
    for atom, e in _factors(terms):
        if atom[0] == "g":
            signs.add(factor(atom, Fraction(1), style))
        elif e < 0 and atom[0] in "ts":
            every = ", for every minibatch" if GAMMA in samples(((), ((atom, e),))) else ""
            divisors.add(f"{math(factor(atom, Fraction(1, 2), style))} is bounded away from 0{every}")
    result += sorted(divisors)
    result += [f"the argument of {math(sign)} is not 0: the rule jumps where it is" for sign in sorted(signs)]
    for name in rule.directions:
        shown = math(style.name(name))
        result.append(f"{shown} is a unit vector that does not depend on x (frozen between its refreshes)")
    for name in rule.parameters:
        result.append(
            f"{math(style.name(name))} is a positive constant that does not depend on {math(style.name('eta'))}"
        )
    return result


def _factors(terms: Iterable[Sum]) -> Iterator[tuple[Atom, Fraction]]:
    for term in terms:
        for _, factors in term.terms:
            yield from factors
