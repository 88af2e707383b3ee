"""Random update rules, the same for a number everywhere; and corrupted SDEs, with the order that the proof finds."""

import random
from dataclasses import replace
from fractions import Fraction

from eigensam.landscapes import TiltedTorus
from eigensam.sde import Rule, derive
from eigensam.sde.rules import grad, hvp, mean, norm, rho, unit

FACTORS = (Fraction(1, 2), Fraction(9, 10), Fraction(11, 10), -1, 0)


def random_rule(number):
    """One or two ascent steps along random directions, alone, averaged or as a difference."""
    draw = random.Random(number)

    def factor():
        return Fraction(draw.choice([-1, 1]) * draw.randint(2, 6), 4)

    def along(g):
        return draw.choice(
            [
                lambda: g,
                lambda: unit(g),
                lambda: g / norm(mean(g)),
                lambda: unit(mean(g)),
                lambda: g / (1 + norm(g)),
                lambda: mean(g),
                lambda: hvp(unit(g)),
            ]
        )()

    def shift():
        first = factor() * rho * along(grad())
        match draw.randrange(4):
            case 0:
                return first + factor() * rho * along(grad())
            case 1:
                return first + Fraction(1, 2) * rho * unit(grad(first))
            case _:
                return first

    direction = grad(shift())
    match draw.randrange(5):
        case 0:
            direction = (direction + grad(shift())) / 2
        case 1:
            direction = direction + Fraction(1, 3) * (grad(rho * unit(grad())) - grad())
        case 2:
            direction = direction + Fraction(1, 4) * rho * hvp(unit(grad()))
    return Rule(f"random-{number}", direction)


def random_case(number):
    """A right SDE of weak order 1 or 2 and a landscape on which its assumptions hold."""
    draw = random.Random(-1 - number)
    order, beta = draw.choice([(1, "1/3"), (1, "1/2"), (1, "2/3"), (1, "1"), (2, "2/3"), (2, "1")])
    dim = draw.choice([1, 2])
    terms = 1 if dim == 1 else draw.randint(1, 3)  # in one dimension there is one frequency
    landscape = TiltedTorus.random(dim, size=draw.randint(2, 4), terms=terms, seed=number)
    return derive(random_rule(number), order, beta), landscape


def corrupted(sde):
    """Every coefficient of an SDE multiplied by each factor: (part, power of rho, factor, SDE)."""
    for part in ("increments", "correction", "covariance"):
        for k, coefficient in getattr(sde, part).items():
            for factor in FACTORS:
                kept = getattr(sde, part) | {k: coefficient * Fraction(factor)}
                yield part, k, factor, replace(sde, **{part: {i: c for i, c in kept.items() if c}})
