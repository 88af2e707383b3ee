"""What a ``GradScaler`` of mixed precision has to hear of a step that unscales its gradients itself."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

__all__ = ["report_to_scaler"]


def report_to_scaler(scaler: Any, like: Tensor, *, finite: bool) -> SGD:
    """Let ``scaler.update()`` know whether gradients were finite; keep what is returned until then.

    The scaler looks at gradients of an optimizer, for which one number stands here.

    Example:
        >>> import torch
        >>> scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        >>> _ = scaler.scale(torch.zeros(()))
        >>> told = report_to_scaler(scaler, torch.zeros(1), finite=False)
        >>> scaler.update()
        >>> scaler.get_scale()
        4.0
    """
    number = torch.zeros(1, device=like.device, requires_grad=True)
    number.grad = torch.full_like(number, 1.0 if finite else torch.inf)
    stand_in = SGD([number], lr=0.0)
    scaler.unscale_(stand_in)
    return stand_in
