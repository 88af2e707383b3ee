"""The terms of some of many points; a direction that occurs twice stays one tensor, so that passes are shared."""

import torch
from torch import Tensor

from ..landscape import Terms

__all__ = ["terms_at", "terms_of_rows"]


def terms_of_rows(terms: Terms, shape: torch.Size, axes: int = 2) -> Terms:
    """Their tensors expanded to points of a shape ``(..., M, d)``, of which so many axes remain, all others in one.

    Args:
        terms: coefficients are numbers or of a shape that broadcasts against ``(..., M)``.
        shape: of the points.
        axes: 3 for ``(P, M, d)``, 2 for ``(N, d)``.
    """
    kept = shape[len(shape) - axes + 1 : -1]

    def rows(tensor: Tensor, full: torch.Size, *last: int) -> Tensor:
        return tensor.expand(full).reshape(-1, *kept, *last)

    directions = {id(a): rows(a, shape, shape[-1]) for _, given in terms for a in given}
    return [
        (rows(c, shape[:-1]) if isinstance(c, Tensor) else c, [directions[id(a)] for a in given]) for c, given in terms
    ]


def terms_at(terms: Terms, index: int | slice | tuple[slice, slice] | tuple[int, int]) -> Terms:
    """The terms of some points.

    Example:
        >>> import torch
        >>> u = torch.arange(6.0).view(3, 2)
        >>> terms_at([(torch.tensor([1.0, 2.0, 3.0]), (u, u)), (0.5, (u,))], 1)
        [(tensor(2.), [tensor([2., 3.]), tensor([2., 3.])]), (0.5, [tensor([2., 3.])])]
    """
    directions = {id(a): a[index] for _, given in terms for a in given}
    return [(c[index] if isinstance(c, Tensor) else c, [directions[id(a)] for a in given]) for c, given in terms]
