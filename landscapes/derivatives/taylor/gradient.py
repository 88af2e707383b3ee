"""The gradient of a truncated Taylor expansion: one forward pass of jets, one backward pass."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..taylor import attention, elementwise, losses, normalisation, products, shapes
from .jet import Jet, NotCoveredError

__all__ = ["taylor_gradients_of"]

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
    order = len(coefficients) - 1
    if not 1 <= order <= 2:
        raise NotCoveredError(f"{len(coefficients)} coefficients; rules exist for two and three")
    leaves = [p.detach().requires_grad_() for p in parameters]
    with torch.enable_grad():
        try:
            value = loss([Jet.of_parts(pair, order) for pair in zip(leaves, directions, strict=True)])
        except RuntimeError as error:
            if "TorchScript" in str(error):  # which puts an error of its own, without the text, in place of a refusal
                raise NotCoveredError("a function compiled by TorchScript") from error
            raise
        if not isinstance(value, Jet):
            raise NotCoveredError("a loss that does not depend on the parameters")
        stack = value.stack
        weights = [torch.as_tensor(c, dtype=stack.dtype, device=stack.device) for c in coefficients[: len(stack)]]
        factorials = torch.tensor([math.factorial(k) for k in range(len(stack))]).to(stack)
        seed = (
            (torch.stack([w.reshape(()) for w in weights]) * factorials)
            .view(-1, *[1] * (stack.ndim - 1))
            .expand_as(stack)
        )
        return torch.autograd.grad(stack, leaves, seed, materialize_grads=True)
