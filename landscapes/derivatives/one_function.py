"""The passes of one optimizer step must see one function: same dropout masks, batch-norm statistics moved once."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

__all__ = ["RandomState", "frozen_statistics"]

_Norm = nn.modules.batchnorm._NormBase  # batch and instance norm
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class RandomState:
    """The random generators as they were at construction; ``restore`` replays them for another pass.

    Args:
        device: whose generator, besides the CPU's.
        everyone: those of Python and numpy, too, at a cost that counts in every step of a small network. A generator of
            the closure's own nobody can know.
    """

    def __init__(self, device: torch.device, *, everyone: bool = False) -> None:
        self._device = device
        self._host = (random.getstate(), np.random.get_state()) if everyone else None  # noqa: NPY002 (who uses it)
        self._cpu = torch.get_rng_state()
        self._accelerator = None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(device)

    def restore(self) -> None:
        """Make the next pass draw the random numbers that the first one drew."""
        if self._host is not None:
            random.setstate(self._host[0])
            np.random.set_state(self._host[1])  # noqa: NPY002
        torch.set_rng_state(self._cpu)
        if self._accelerator is not None:
            torch.get_device_module(self._device).set_rng_state(self._accelerator, self._device)


@contextmanager
def frozen_statistics() -> Iterator[None]:
    """Forward passes inside leave every batch norm's running statistics as they were.

    Works without knowing the model: the first time a batch norm runs, copies stand in for its statistics until the
    context ends. (In place would break a backward pass that still needs them.) Modules inside a compiled graph do
    not call hooks; compile the loss without batch norm in train mode, or not at all.

    Example:
        >>> import torch
        >>> norm = torch.nn.BatchNorm1d(2)
        >>> with frozen_statistics():
        ...     _ = norm(torch.tensor([[3.0, 4.0], [5.0, 8.0]]))
        >>> norm.running_mean.tolist(), norm.num_batches_tracked.item()
        ([0.0, 0.0], 0)
    """
    originals: dict[_Norm, dict[str, Tensor | None]] = {}

    def shield(module: nn.Module, _inputs: Any) -> None:
        if isinstance(module, _Norm) and module.training and module not in originals:
            originals[module] = {name: getattr(module, name) for name in _STATISTICS}
            for name, statistic in originals[module].items():
                setattr(module, name, None if statistic is None else statistic.clone())

    handle = register_module_forward_pre_hook(shield)
    try:
        yield
    finally:
        handle.remove()
        for module, statistics in originals.items():
            for name, statistic in statistics.items():
                setattr(module, name, statistic)
