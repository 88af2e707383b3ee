"""How far a perturbation points along an eigenvector."""

import torch
from torch import Tensor

__all__ = ["alignment"]


def alignment(u: Tensor, v: Tensor) -> Tensor:
    """``|<u/|u|, v>|`` of perturbations ``u``, shape ``(..., d)``, with a unit vector ``v``, shape ``(d,)``.

    Example:
        >>> import torch
        >>> round(alignment(torch.tensor([3.0, -4.0]), torch.tensor([0.0, 1.0])).item(), 6)
        0.8
    """
    cosine: Tensor = (u @ v).abs() / torch.linalg.vector_norm(u, dim=-1)
    return cosine
