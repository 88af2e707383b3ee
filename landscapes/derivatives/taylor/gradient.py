"""The gradient of a truncated Taylor expansion: one forward pass of jets, one backward pass."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import vmap

from ..taylor import attention, elementwise, losses, normalisation, products, shapes
from .jet import Jet, NotCoveredError, mapping

__all__ = ["mapped_taylor_gradients", "taylor_gradients_of"]

_RULES = (attention, elementwise, losses, normalisation, products, shapes)  # imported for the rules they register


def taylor_gradients_of(
    loss: Callable[[Sequence[Tensor]], Tensor],
    parameters: Sequence[Tensor],
    directions: Sequence[Tensor],
    coefficients: Sequence[float | Tensor],
) -> tuple[Tensor, ...]:
    """``sum_k c_k grad d_u^k f`` with the direction held constant, for at most three coefficients.

    Args:
        loss: maps parameters, given as jets, to a scalar.
        parameters: where, plain tensors.
        directions: ``u``, tensors of the same shapes.
        coefficients: ``c_0, c_1`` or ``c_0, c_1, c_2``.

    Returns:
        One tensor for each parameter.

    Raises:
        NotCoveredError: the loss uses a function without a rule.
    """
    leaves = [p.detach().requires_grad_() for p in parameters]
    with torch.enable_grad():
        stack = _series(loss, leaves, directions, len(coefficients) - 1)
        weights = [c * math.factorial(k) for k, c in enumerate(coefficients[: stack.shape[0]])]
        seed = torch.stack([torch.as_tensor(w, dtype=stack.dtype, device=stack.device).reshape(()) for w in weights])
        return torch.autograd.grad(
            stack, leaves, seed.view(-1, *[1] * (stack.ndim - 1)).expand_as(stack), materialize_grads=True
        )


def mapped_taylor_gradients(
    loss: Callable[..., Tensor],
    parameters: Callable[[Tensor], Sequence[Tensor]],
    points: tuple[Tensor, Tensor],
    coefficients: Sequence[float | Tensor],
    data: Sequence[Tensor],
) -> Tensor:
    """The same for several pairs of a point and data in one pass of ``torch.func.vmap``.

    Args:
        loss: maps parameters, given as jets, and the tensors of one pair's data to a scalar.
        parameters: cuts a vector ``(d,)`` into parameters.
        points: where, and the directions, ``(N, d)`` each.
        coefficients: numbers, or tensors of shape ``(N,)``.
        data: tensors with one row for each pair; none if all pairs have the same.

    Returns:
        Shape ``(N, d)``.

    Raises:
        NotCoveredError: the loss uses a function without a rule.
    """
    x, u = points
    x = x.detach().requires_grad_()

    def series(point: Tensor, direction: Tensor, *given: Tensor) -> Tensor:
        with mapping():
            pairs = parameters(point), parameters(direction)
            return _series(lambda jets: loss(jets, *given), *pairs, len(coefficients) - 1)

    with torch.enable_grad():
        stack = vmap(series)(x, u, *data)
        if not stack.requires_grad:
            raise NotCoveredError("a loss that does not depend on the parameters")
        weights = [torch.as_tensor(c, dtype=x.dtype, device=x.device).expand(len(x)) for c in coefficients]
        factorials = torch.tensor([math.factorial(k) for k in range(len(weights))]).to(stack)
        seed = (torch.stack(weights, 1) * factorials)[:, : stack.shape[1]]
        (result,) = torch.autograd.grad(stack, x, seed)
        return result


def _series(
    loss: Callable[[Sequence[Tensor]], Tensor], parameters: Sequence[Tensor], directions: Sequence[Tensor], order: int
) -> Tensor:
    """The coefficients of the loss, ``(k, ...)``."""
    if not 1 <= order <= 2:
        raise NotCoveredError(f"{order + 1} coefficients; rules exist for two and three")
    try:
        value = loss([Jet.of_parts(pair, order) for pair in zip(parameters, directions, strict=True)])
    except RuntimeError as error:
        if "TorchScript" in str(error):  # which puts an error of its own, without the text, in place of a refusal
            raise NotCoveredError("a function compiled by TorchScript") from error
        raise
    if not isinstance(value, Jet):
        raise NotCoveredError("a loss that does not depend on the parameters")
    return value.stack
