"""A gradient that is differentiated once more, and how one sees that torch would get that wrong."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from .flat import flatten, unflatten

__all__ = ["check_backward", "check_dependence", "linearised_gradient", "reaches"]


def linearised_gradient(loss: Tensor, leaves: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    """``v -> H v`` of a loss that has been computed from its leaves: one reverse pass each, over a graph that is kept.

    Args:
        loss: a scalar.
        leaves: what it is differentiated by; ``v`` is one vector over all of them.

    Example:
        >>> import torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> linearised_gradient((x**3).sum(), [x])(torch.tensor([1.0, 0.0])).tolist()
        [6.0, 0.0]
    """
    shapes = [leaf.shape for leaf in leaves]
    gradient = torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
    sloped = [(g, i) for i, g in enumerate(gradient) if g.requires_grad]
    if not sloped:  # linear in the leaves
        return torch.zeros_like
    gradients, places = [g for g, _ in sloped], [i for _, i in sloped]

    def product(v: Tensor) -> Tensor:
        parts = unflatten(v, shapes)
        rows = torch.autograd.grad(
            gradients, leaves, [parts[i] for i in places], retain_graph=True, materialize_grads=True
        )
        return flatten(rows)

    return product


def reaches(value: Tensor, tensors: Iterable[Tensor]) -> bool:
    """Whether the graph of a value leads to any of some leaves.

    Example:
        >>> import torch
        >>> x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        >>> reaches(x.exp().sum(), [x]), reaches(x.exp().sum(), [y])
        (True, False)
    """
    if value.grad_fn is None:
        return any(value is tensor for tensor in tensors)
    own = {id(tensor) for tensor in tensors}
    waiting, seen = [value.grad_fn], {value.grad_fn}
    while waiting:
        node = waiting.pop()
        if id(getattr(node, "variable", None)) in own:
            return True
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                waiting.append(below)
    return False


def check_dependence(value: Tensor, names: Sequence[str]) -> None:
    """Refuse a loss, or outputs, through which no gradient reaches the parameters of the given names."""
    if not value.requires_grad:
        listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InputError(
            f"the loss does not depend on the parameters ({listed}) in a way that torch can differentiate: it counts, "
            "rounds or detaches, or the network does not use them; give a differentiable loss, and parameters in use"
        )


def check_backward(gradients: Sequence[Tensor | None], weight: Tensor) -> None:
    """Refuse ``J^T w`` that is not differentiable in ``w``: a backward pass on the way has cut the graph.

    Passes marked ``once_differentiable`` leave an error in the graph that only ``backward()`` meets, but
    ``torch.autograd.grad`` passes by; passes of foreign kernels leave nothing. Both would make second derivatives that
    are silently wrong.
    """
    waiting = [g.grad_fn for g in gradients if g is not None and g.grad_fn is not None]
    users: dict[Any, list[Any]] = {node: [] for node in waiting}
    cut, reached = False, list[Any]()
    while waiting:
        node = waiting.pop()
        cut |= node.name() == "torch::autograd::Error"
        if getattr(node, "variable", None) is weight:
            reached.append(node)
        for below, _ in node.next_functions:
            if below is not None:
                if below not in users:
                    users[below] = []
                    waiting.append(below)
                users[below].append(node)
    depends = set(reached)
    while reached:
        new = [node for node in users[reached.pop()] if node not in depends]
        depends.update(new)
        reached += new
    if cut or any(g is not None and g.grad_fn not in depends and bool(g.any()) for g in gradients):
        raise NotImplementedError(
            "a backward pass of this network is not differentiable twice: it is marked once_differentiable, or a "
            "kernel computes it outside of torch's graph"
        )
