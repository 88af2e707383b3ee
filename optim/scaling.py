"""What a ``GradScaler`` of mixed precision and a step that unscales its gradients itself have to know of each other."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ..ground.errors import InputError

__all__ = ["refuse_unscaled", "report_to_scaler"]


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


def refuse_unscaled(scaler: Any, optimizer: Optimizer) -> None:
    """Refuse gradients of a first pass that ``scaler.unscale_`` has divided.

    The scaler allows one ``unscale_`` before each ``update``, and would take the second pass's gradients for unscaled.

    Raises:
        InputError: so it is.
    """
    if scaler._per_optimizer_states[id(optimizer)]["stage"].name != "READY":
        raise InputError(
            "scaler.unscale_(optimizer) was called before first_step, so the scaler takes the gradients of the second "
            "pass for unscaled; first_step(scaler=scaler) unscales them itself: call unscale_ after the second pass"
        )
