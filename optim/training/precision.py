"""In which type of numbers a network's passes are made."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from ...ground.errors import InputError
from .settings import PRECISIONS

__all__ = ["Precision"]


class Precision:
    """Automatic mixed precision: what autocast calls safe is computed in narrow numbers, parameters stay float32.

    float16 underflows where gradients are small, so its loss is scaled; a step whose scaled gradients overflow is left
    out, and the scale is halved. bfloat16 has the range of float32 and needs no scale.

    Args:
        name: one of ``PRECISIONS``.
        device: that trains.

    Attributes:
        scaler: of the loss, for float16; else None.

    Raises:
        InputError: a name that is unknown, or that the device has no fast numbers for.

    Example:
        >>> narrow = Precision("bfloat16", torch.device("cpu"))
        >>> with narrow.autocast():
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """

    def __init__(self, name: str, device: torch.device) -> None:
        if name not in PRECISIONS:
            raise InputError(f"unknown precision '{name}'; choose one of: {', '.join(PRECISIONS)}")
        if name != "float32" and not torch.amp.is_autocast_available(device.type):
            raise InputError(f"{device.type} has no mixed precision; leave --precision at float32")
        self.name, self.device = name, device
        self.scaler: Any = torch.amp.GradScaler(device.type) if name == "float16" else None

    def autocast(self) -> AbstractContextManager[Any]:
        """Around a pass."""
        if self.name == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=getattr(torch, self.name))

    def state_dict(self) -> dict[str, Any]:
        """The scale and when it grows; empty without one."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        if self.scaler is not None:
            self.scaler.load_state_dict(state)
