"""What a derivation assumes, read off its terms."""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from ..algebra.printing import factor, inside
from ..algebra.sums import Sum
from ..algebra.terms import CONTRACTION, NESTED, SIGN, SUM, Atom, Term, is_positive, relabelled, samples
from ..algebra.trees import GAMMA
from ..rules.plain_styles import UNICODE
from ..rules.recursion import Recursion
from ..rules.rule import Rule
from ..rules.sampling import Independent
from ..rules.style import Style

__all__ = ["assumptions"]


def assumptions(
    rule: Rule | Recursion,
    rho_exponent: Fraction,
    smoothness: int,
    terms: Iterable[Sum],
    style: Style = UNICODE,
    memory: Mapping[str, Fraction] | None = None,
) -> list[str]:
    """Sentences, those on smoothness first.

    Args:
        rule: the update rule, or a recursion.
        rho_exponent: ``beta``.
        smoothness: how many derivatives of the losses the SDE and its remainder hold.
        terms: expressions whose divisors, roots and signs must not vanish.
        style: how formulas are written.
        memory: of a recursion's fast blocks, by how much a step multiplies them at ``eta = 0``.
    """
    math = style.math
    result = [
        f"every minibatch loss has at least {smoothness} continuous derivatives, and as many more as make the "
        f"SDE's coefficients smooth enough for the backward equation ({math('2p + 2')} derivatives); all of polynomial "
        "growth",
        f"drift and diffusion are Lipschitz and all moments of the rule's iterates are bounded on {math('[0, T]')}",
        *([Independent.words] if isinstance(rule, Rule) else _of_training(rule, memory or {}, style)),
    ]
    if rule.perturbed:
        law = f"{style.parameter('rho')} = c {style.power(style.parameter('eta'), rho_exponent, False)}"
        result.append(f"{math(law)} with a constant {math('c > 0')}")
    divisors, signs = set(), set()
    for atom, e in _factors(terms):
        every = ", for every minibatch" if GAMMA in samples(((), ((atom, e),))) else ""
        if atom[0] == SIGN:
            signs.add(f"the argument of {math(factor(atom, Fraction(1), style))} is not 0: the rule jumps where it is")
        elif atom[0] in (CONTRACTION, SUM) and not (e.denominator == 1 and e >= 0):
            length = atom[0] == CONTRACTION and is_positive(atom)
            half = Fraction(1, 2) if length else Fraction(1)
            shown = math(inside(atom, style) if atom[0] == SUM else factor(atom, half, style))
            positive = "positive and " if e.denominator % 2 == 0 and not length else ""
            divisors.add(f"{shown} is {positive}bounded away from 0{every}")
    result += [*sorted(divisors), *sorted(signs)]
    for name in rule.directions:
        shown = math(style.direction(name))
        result.append(f"{shown} is a unit vector that does not depend on x (frozen between its refreshes)")
    for name in rule.parameters:
        shown, eta = math(style.parameter(name)), math(style.parameter("eta"))
        result.append(f"{shown} is a positive constant that does not depend on {eta}")
    return result


def _of_training(recursion: Recursion, memory: Mapping[str, Fraction], style: Style) -> Iterator[str]:
    """What is assumed of a recursion's minibatches, memory and schedules."""
    eta = style.math(style.parameter("eta"))
    sampling = recursion.sampling
    yield sampling.words
    if sampling.epoch > 1:
        family = f" of a family of {sampling.family}" if sampling.family is not None else ""
        yield f"an epoch has {sampling.epoch} minibatches{family}, however small {eta} is"
    if (named := [draw or "unlabelled" for draw in recursion.draws]) != ["unlabelled"] and named:
        law = "independent" if recursion.distinct is None else f"different ones of a family of {recursion.distinct}"
        yield f"the minibatches of one step ({', '.join(named)}) are {law if len(named) > 1 else 'drawn alike'}"
    at_zero = style.math(f"{style.parameter('eta')} = 0")
    for name, multiple in memory.items():
        shown = style.math(("-" if multiple < 0 else "") + style.rational(abs(multiple)))
        forgets = f"a step multiplies it by {shown}" if multiple else "a step writes it anew"
        yield f"the memory {style.math(style.state(name))} forgets: at {at_zero} {forgets}; its moments are bounded"
    for name in recursion.schedules:
        yield f"{style.math(style.parameter(name))} is positive and has two continuous derivatives up to the horizon"


def _factors(terms: Iterable[Sum]) -> Iterator[tuple[Atom, Fraction]]:
    """Every factor, those within powers and signs included, as of the step's minibatch."""
    for term in terms:
        yield from _within(term.terms)


def _within(terms: Iterable[Term]) -> Iterator[tuple[Atom, Fraction]]:
    for term in terms:
        _, factors = relabelled(((), term[1]), {s: GAMMA for s in samples(term) if s > 0})
        yield from factors
        for atom, _ in factors:
            if atom[0] in NESTED:
                yield from _within(inner for inner, _ in atom[1])
