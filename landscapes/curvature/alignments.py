"""How far a perturbation points along an eigenvector."""

import torch
from torch import Tensor

from ..landscape import Landscape
from .perturbations import Perturbation, minibatch_perturbations

__all__ = ["alignment", "mean_alignment"]


def alignment(u: Tensor, v: Tensor) -> Tensor:
    """``|<u/|u|, v>|`` of perturbations ``u``, shape ``(..., d)``, with a unit vector ``v``, shape ``(d,)``.

    Example:
        >>> import torch
        >>> round(alignment(torch.tensor([3.0, -4.0]), torch.tensor([0.0, 1.0])).item(), 6)
        0.8
    """
    cosine: Tensor = (u @ v).abs() / torch.linalg.vector_norm(u, dim=-1)
    return cosine


def mean_alignment(landscape: Landscape, x: Tensor, v: Tensor, perturbation: Perturbation | None = None) -> float:
    """``E |<u_m/|u_m|, v>|`` over minibatches at ``x``; NaN where a perturbation is 0.

    Args:
        landscape: ``f_m``.
        x: where, shape ``(d,)``.
        v: unit vector, shape ``(d,)``.
        perturbation: ``u_m``, see :func:`minibatch_perturbations`; default along the minibatches' gradients.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic([[1.0, 0.0], [0.0, 1.0]], centres=[[2.0, 0.0], [0.0, 2.0]])
        >>> mean_alignment(f, torch.zeros(2, dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64))
        0.5
    """
    cosines = [alignment(u, v) for _, u in minibatch_perturbations(landscape, x, perturbation)]
    return float(torch.stack(cosines).double().mean())
