"""Expressions changed node by node: another minibatch, a loss with weight decay in it."""

from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from typing import Any

from .leaves import POSITION, State
from .nodes import Derivative, Expression, Inner, Loss, Vector

__all__ = ["labelled", "regularised", "rewritten"]


def rewritten(expression: Expression, change: Callable[[Any], Any]) -> Any:
    """An expression in which every node has been changed, from the leaves up; a shared node is changed once."""
    known: dict[int, Any] = {}

    def of(node: Any) -> Any:
        if isinstance(node, tuple):
            return tuple(of(part) for part in node)
        if not isinstance(node, Expression):
            return node
        if id(node) not in known:
            known[id(node)] = change(type(node)(*(of(getattr(node, field.name)) for field in fields(node))))
        return known[id(node)]

    result = of(expression)
    known.clear()
    return result


def labelled(expression: Expression, draw: str) -> Any:
    """The same of another minibatch than the step's own.

    Args:
        expression: of the step's own minibatch, which has no label.
        draw: the other one's label.

    Example:
        >>> from eigensam.sde.rules.language import grad, rho
        >>> print(labelled(grad(rho * grad()), "a"))
        grad(rho*grad(draw='a'), draw='a')
    """

    def change(node: Any) -> Any:
        if isinstance(node, Derivative) and not node.draw:
            return Derivative(node.shift, node.arguments, draw)
        if isinstance(node, Loss) and not node.draw:
            return Loss(node.shift, draw)
        return node

    return rewritten(expression, change)


def regularised(expression: Expression, decay: Fraction) -> Any:
    """The same of losses ``f_m + decay/2 |x|^2``: every gradient, that of an ascent, too, has a part of weight decay.

    Example:
        >>> from eigensam.sde.rules.language import grad, rho
        >>> print(regularised(grad(rho * grad()), Fraction(1, 2)))
        grad(rho*(g + x/2)) + (x + rho*(g + x/2))/2
    """

    def point(shift: Vector | None) -> Vector:
        return State(POSITION) if shift is None else State(POSITION) + shift

    def change(node: Any) -> Any:
        if isinstance(node, Derivative) and len(node.arguments) < 2:
            return node + decay * (node.arguments[0] if node.arguments else point(node.shift))
        if isinstance(node, Loss):
            return node + decay / 2 * Inner(point(node.shift), point(node.shift))
        return node

    return rewritten(expression, change)
