"""The diagonal of a perceptron's Gauss-Newton matrix, exactly, for the price of a backward pass per class."""

import torch
from torch import Tensor, nn

from ...bounds.gibbs.local_reparameterisation import perceptron_layers

__all__ = ["perceptron_diagonal"]


def perceptron_diagonal(model: nn.Module, inputs: Tensor) -> Tensor:
    """Diagonal of ``(1/n) sum_i J_i^T (diag(p_i) - p_i p_i^T) J_i``, of the cross-entropy, ``(d,)``.

    ``diag(p) - p p^T = sum_c u_c u_c^T`` with ``u_c = sqrt(p_c) (e_c - p)``. The gradient of ``u_c^T z`` by a weight
    is the product of what comes back to its output and of its input, so its square, summed over examples, is a product
    of two matrices of squares.

    Args:
        model: a perceptron; see :func:`perceptron_layers`.
        inputs: ``(n, ...)``.
    """
    layers = perceptron_layers(model)
    hidden, seen, outputs = inputs, [], []
    for layer in layers:
        if isinstance(layer, nn.Linear):
            seen.append(hidden.detach().square())
            hidden = layer(hidden)
            hidden.requires_grad_()
            outputs.append(hidden)
        else:
            hidden = layer(hidden)
    p = hidden.detach().softmax(1)
    totals: list[Tensor] = [torch.zeros_like(q) for layer in layers for q in layer.parameters()]
    for c in range(p.shape[1]):
        u = p[:, c : c + 1].sqrt() * (torch.eye(p.shape[1], dtype=p.dtype, device=p.device)[c] - p)
        back = torch.autograd.grad(hidden, outputs, u, retain_graph=True)
        found = []
        for layer, squares, each in zip((x for x in layers if isinstance(x, nn.Linear)), seen, back, strict=True):
            found.append(each.square().T @ squares)
            if layer.bias is not None:
                found.append(each.square().sum(0))
        totals = [a + b for a, b in zip(totals, found, strict=True)]
    return torch.cat([each.detach().flatten() for each in totals]) / len(inputs)
