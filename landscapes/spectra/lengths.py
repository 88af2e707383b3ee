"""Lengths of long vectors."""

import torch
from torch import Tensor

__all__ = ["length_of"]


def length_of(v: Tensor, *, keep: bool = False) -> Tensor:
    """Euclidean lengths along the last axis, in the type of ``v`` but added up in float64.

    Added up in float32 on a CPU the length of 10^7 numbers is 4e-4 off, that of 4 10^7 some tenths of a percent: a
    vector "of length 1" that is none makes the perturbation along it longer or shorter than it should be.

    Args:
        v: of shape ``(..., d)``.
        keep: keep the axis, of size 1.

    Example:
        >>> import torch
        >>> float(length_of(torch.tensor([3.0, 4.0])))
        5.0
    """
    found: Tensor = torch.linalg.vector_norm(v, dim=-1, keepdim=keep, dtype=torch.float64)
    return found.to(v.dtype)
