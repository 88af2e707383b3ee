"""Every node of a rule's expression, and how large it is when written out."""

from dataclasses import fields

from .nodes import Expression

__all__ = ["walk", "written_size"]


def walk(expression: Expression) -> list[Expression]:
    """Every node of an expression once, the root first; a part that occurs in several places is one node."""
    result: dict[int, Expression] = {}
    stack = [expression]
    while stack:
        node = stack.pop()
        if id(node) in result:
            continue
        result[id(node)] = node
        stack += _parts(node)
    return list(result.values())


def written_size(expression: Expression) -> tuple[int, int]:
    """How many parts it has when written out, shared ones as often as they occur, and how deep they are nested.

    Example:
        >>> from eigensam.sde.rules import grad, inner
        >>> written_size(inner(grad(), grad()))
        (3, 2)
    """
    known: dict[int, tuple[int, int]] = {}
    stack = [expression]
    while stack:
        parts = _parts(stack[-1])
        if missing := [part for part in parts if id(part) not in known]:
            stack += missing
            continue
        sizes = [known[id(part)] for part in parts]
        known[id(stack.pop())] = (1 + sum(size for size, _ in sizes), 1 + max((depth for _, depth in sizes), default=0))
    return known[id(expression)]


def _parts(node: Expression) -> list[Expression]:
    values = [getattr(node, field.name) for field in fields(node)]
    each = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
    return [part for part in each if isinstance(part, Expression)]
