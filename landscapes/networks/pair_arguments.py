"""What is given for pairs of a point and a minibatch, checked: an index that wraps around would look right."""

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Terms

__all__ = ["check_pair_terms", "checked_minibatches"]


def checked_minibatches(x: Tensor, minibatches: Tensor, dim: int, size: int) -> list[int]:
    """One whole number from 0 to ``size - 1`` for each point of ``(N, dim)``.

    Raises:
        InputError: other shapes or numbers.

    Example:
        >>> import torch
        >>> checked_minibatches(torch.zeros(3, 2), torch.tensor([0, 1, 0]), dim=2, size=2)
        [0, 1, 0]
    """
    if x.ndim != 2 or x.shape[1] != dim or minibatches.shape != x.shape[:1] or not len(x):
        raise InputError(
            f"found points of shape {tuple(x.shape)} and minibatches of shape {tuple(minibatches.shape)}; expected "
            f"(N, {dim}) and (N,), one minibatch for each point"
        )
    members: list[int] = minibatches.tolist()
    if minibatches.is_floating_point() or not all(type(m) is int and 0 <= m < size for m in members):
        raise InputError(f"minibatches must be whole numbers from 0 to {size - 1}; found {members[:5]}")
    return members


def check_pair_terms(x: Tensor, terms: Terms) -> None:
    """Refuse directions other than ``(N, d)`` or ``(d,)``, and coefficients other than numbers or ``(N,)``.

    Raises:
        InputError: there are some.
    """
    count, dim = x.shape
    for c, given in terms:
        wrong = [tuple(a.shape) for a in given if a.shape not in (x.shape, x.shape[1:])]
        if isinstance(c, Tensor) and c.shape not in (torch.Size([]), torch.Size([count])):
            wrong.append(tuple(c.shape))
        if wrong:
            raise InputError(
                f"a term has a tensor of shape {wrong[0]}; expected directions ({count}, {dim}) or ({dim},), and "
                f"coefficients that are numbers or ({count},)"
            )
