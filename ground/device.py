"""The device that a person names."""

from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["find_device"]


def find_device(name: str) -> "torch.device":
    """``auto`` is the accelerator where there is one, else the CPU.

    Raises:
        InputError: torch does not know the device or does not have it.
    """
    import torch  # here: commands that compute nothing load none

    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # "meta" has no values
    except Exception:  # each backend that is not there fails in a way of its own, ModuleNotFoundError among them
        raise InputError(f"no usable device '{name}' on this machine; use --device auto or cpu") from None
    return device
