"""Blocks of a state replaced by what they have become: how statements that follow each other are one step."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ...ground.errors import InputError
from .leaves import POSITION, State
from .nodes import Derivative, Expression, Loss, Mean, Vector
from .traversal import walk

__all__ = ["substituted"]


def substituted(expression: Expression, values: Mapping[str, Vector]) -> Any:
    """An expression in which every block has its present value, and gradients are taken at the present position.

    Args:
        expression: written in the blocks as they are when it is reached.
        values: block to its value, in the blocks at the start of the step.

    Example:
        >>> from eigensam.sde.rules.language import eta, grad, state
        >>> print(substituted(grad() + state("m"), {"x": state("x") - eta * state("m"), "m": grad()}))
        grad(x - eta*m - x) + g
    """
    position = values.get(POSITION, State(POSITION))
    moved = None if position == State(POSITION) else position - State(POSITION)
    known: dict[int, Any] = {}

    def of(node: Any) -> Any:
        if isinstance(node, tuple):
            return tuple(of(part) for part in node)
        if not isinstance(node, Expression):
            return node
        if id(node) not in known:
            known[id(node)] = rebuilt(node)
        return known[id(node)]

    def check_mean(node: Mean) -> None:
        """Refuse an average over minibatches of what holds the step's own: it would be averaged, too."""
        for part in walk(node.of):
            value = moved if isinstance(part, Derivative | Loss) else values.get(getattr(part, "name", ""))
            if isinstance(part, State | Derivative | Loss) and value is not None and _drawn(value):
                what = part.name if isinstance(part, State) else "the position, which has moved,"
                raise InputError(
                    f"{node} would average {what} over minibatches, too, which holds the step's own one; take the mean "
                    "of gradients at the start of the step, or leave it out"
                )

    def rebuilt(node: Expression) -> Any:
        if isinstance(node, Mean):
            check_mean(node)
        if isinstance(node, State):
            return values.get(node.name, node)
        parts = [of(getattr(node, field.name)) for field in fields(node)]
        if isinstance(node, Derivative | Loss) and moved is not None:
            parts[0] = moved if parts[0] is None else moved + parts[0]
        old = [getattr(node, field.name) for field in fields(node)]
        same = all(
            a is b or (isinstance(a, tuple) and all(x is y for x, y in zip(a, b, strict=True)))
            for a, b in zip(parts, old, strict=True)
        )
        return node if same else type(node)(*parts)

    result = of(expression)
    known.clear()
    return result


def _drawn(expression: Expression) -> bool:
    """Whether it depends on a minibatch of the step: a gradient that is not within an average."""
    if isinstance(expression, Mean):
        return False
    if isinstance(expression, Derivative | Loss):
        return True
    parts = [getattr(expression, field.name) for field in fields(expression)]
    each = [part for value in parts for part in (value if isinstance(value, tuple) else (value,))]
    return any(_drawn(part) for part in each if isinstance(part, Expression))
