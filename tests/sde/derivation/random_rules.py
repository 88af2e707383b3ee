"""Random rules as text: everything that the language can nest."""

import random

__all__ = ["random_rule"]

_NUMBERS = ["2", "0.5", "1e-3", "1/3", "-1", "0", "1.00000000000000000001", "(-2)", "7", "rho", "alpha"]
_POWERS = ["2", "3", "(1/2)", "(-1)", "(-1/2)", "(2/3)", "0", "4"]


def random_rule(seed: int, depth: int = 2) -> str:
    """A vector, in half of the cases within a perturbed gradient."""
    draw = random.Random(seed)
    text = _vector(draw, depth)
    return f"grad(rho*{text})" if draw.random() < 0.5 else text


def _number(draw):
    return draw.choice([*_NUMBERS, "parameter('tau')"])


def _vector(draw, depth):
    if depth <= 0:
        return draw.choice(["g", "v", "E[g]", "direction('w')", "unit(g)"])

    def v():
        return _vector(draw, depth - 1 - draw.randrange(2))

    def s():
        return _scalar(draw, depth - 1 - draw.randrange(2))

    return draw.choice(
        [
            lambda: f"({v()} + {v()})",
            lambda: f"({v()} - {v()})",
            lambda: f"({s()})*{v()}",
            lambda: f"{v()}/({s()})",
            lambda: f"E[{v()}]",
            lambda: f"grad(rho*{v()})",
            lambda: f"hvp({v()})",
            lambda: f"hvp({v()}, at=rho*{v()})",
            lambda: f"unit({v()})",
            lambda: f"derivative({v()}, {v()})",
            lambda: f"-{v()}",
            lambda: f"grad({_number(draw)}*rho**{draw.randint(1, 2)}*{v()} + rho*{v()})",
        ]
    )()


def _scalar(draw, depth):
    if depth <= 0:
        return draw.choice([_number(draw), "norm(g)", "inner(g, v)", "alpha", "rho", "loss()", "norm(E[g])"])

    def v():
        return _vector(draw, depth - 1 - draw.randrange(2))

    def s():
        return _scalar(draw, depth - 1 - draw.randrange(2))

    return draw.choice(
        [
            lambda: f"norm({v()})",
            lambda: f"inner({v()}, {v()})",
            lambda: f"sign({s()})",
            lambda: f"E[{s()}]",
            lambda: f"({s()} + {s()})",
            lambda: f"({s()})**{draw.choice(_POWERS)}",
            lambda: f"({s()})*({s()})",
            lambda: f"loss(rho*{v()})",
            lambda: f"({s()})/({s()})",
            lambda: f"({s()} - {_number(draw)})",
            lambda: f"norm(E[{v()}])**{draw.choice([1, 2, 4])}",
        ]
    )()
