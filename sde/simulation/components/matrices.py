"""Products with large constant matrices, which would be too much code in components."""

import torch
from torch import Tensor

__all__ = ["product"]


def product(matrix: Tensor, parts: list[Tensor]) -> tuple[Tensor, ...]:
    """``A v`` of a vector whose components are tensors of one number per path.

    A sum over columns, so that a path's result does not depend on how many others there are, as it does where a library
    multiplies whole matrices.

    Args:
        matrix: shape ``(p, q)``.
        parts: ``q`` components.

    Example:
        >>> product(torch.tensor([[1.0, 2.0]]), [torch.ones(3), torch.ones(3)])
        (tensor([3., 3., 3.]),)
    """
    vector = torch.stack(torch.broadcast_tensors(*parts))
    columns = matrix.reshape(*matrix.shape, *[1] * (vector.ndim - 1))
    if torch.compiler.is_compiling():
        return (columns * vector).sum(1).unbind(0)  # one loop, in which nothing is stored
    total = columns[:, 0] * vector[0]
    for j in range(1, len(vector)):
        total = total + columns[:, j] * vector[j]
    return total.unbind(0)
