"""The state of torch's random numbers, of the processor and of the device that trains."""

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["random_state", "set_random_state"]


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Of the processor's generator, and of the device's own, if it has one.

    Example:
        >>> state = random_state(torch.device("cpu"))
        >>> drawn = torch.rand(1)
        >>> set_random_state(state, torch.device("cpu"))
        >>> bool(torch.rand(1) == drawn)
        True
    """
    state = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        state["device"] = torch.get_device_module(device).get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Inverse of :func:`random_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state["device"], device)
