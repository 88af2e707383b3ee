"""The buffers of all modules that are alive: what a forward pass may move without anybody saying so."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_buffer_registration_hook
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

__all__ = ["BufferValues", "find_buffers", "known_optimizers", "live_modules"]

_known: "weakref.WeakSet[nn.Module]" = weakref.WeakSet()  # those that have buffers
_large: "weakref.WeakKeyDictionary[nn.Module, dict[str, tuple[int, int] | None]]" = weakref.WeakKeyDictionary()
"""Which tensor a large buffer was, and its version, when somebody last looked; None for one that has moved."""

_optimizers: "weakref.WeakSet[Optimizer]" = weakref.WeakSet()
_watching: list[Any] = []

_LARGE = 1 << 16  # elements; running statistics, counters and iterates of norms have fewer


def _live(kind: type | tuple[type, ...]) -> Iterator[Any]:
    hidden = gc.get_freeze_count()  # what somebody has frozen is not listed
    if hidden:
        gc.unfreeze()
    objects = gc.get_objects()
    if hidden:
        gc.freeze()
    kinds: set[type] = set()
    for each in kind if isinstance(kind, tuple) else (kind,):
        kinds |= _subclasses(each)
    yield from [found for found in objects if type(found) in kinds]  # of millions; issubclass takes thrice as long


def _subclasses(kind: type) -> set[type]:
    found, below = {kind}, list[type](kind.__subclasses__())
    for each in below:
        found |= _subclasses(each)
    return found


def live_modules() -> Iterator[nn.Module]:
    """All modules of the process, found among the interpreter's objects; takes tens of milliseconds."""
    yield from (found for found in _live(nn.Module) if "_buffers" in found.__dict__)


def known_optimizers() -> list[Optimizer]:
    """All optimizers that were alive when a training began."""
    return list(_optimizers)


def find_buffers() -> None:
    """Find modules with buffers, and optimizers; from now on modules that register a buffer are learnt of as they do.

    Call it when a training begins: modules that are copied or unpickled afterwards say nothing.
    """
    if not _watching:
        _watching.append(register_module_buffer_registration_hook(lambda module, _name, _buffer: _known.add(module)))
    for found in list(_live((nn.Module, Optimizer))):
        if isinstance(found, Optimizer):
            _optimizers.add(found)
        elif found.__dict__.get("_buffers"):
            _known.add(found)


class BufferValues:
    """The buffers of all modules as they are now: running statistics, iterates of spectral norms, counters.

    No forward pass says which ones it moves, and compiled code calls no hooks; so all are kept, which costs far less
    than the pass. Large ones (frozen weights, tables, queues) are kept the first time, and from then on only if they
    have moved in between; one that begins to move later moves in every pass of that one step.

    Example:
        >>> import torch
        >>> norm = torch.nn.BatchNorm1d(2)
        >>> find_buffers()
        >>> before = BufferValues()
        >>> with before.standing_in():
        ...     _ = norm(torch.tensor([[3.0, 4.0], [5.0, 8.0]]))
        >>> norm.running_mean.tolist(), norm.num_batches_tracked.item()
        ([0.0, 0.0], 0)
    """

    def __init__(self) -> None:
        if not _known:
            self._values: list[tuple[nn.Module, str, Tensor | None]] = []
            return
        with torch.no_grad():
            self._values = [
                (module, name, None if buffer is None else buffer.detach().clone())
                for module in list(_known)
                for name, buffer in module._buffers.items()
                if buffer is None or (not is_lazy(buffer) and _may_move(module, name, buffer))
            ]

    @contextmanager
    def standing_in(self) -> Iterator[None]:
        """Copies of the values stand in for the buffers, which stay as they are.

        Put back in place, they would break a backward pass that still needs them.
        """
        originals = [module._buffers.get(name) for module, name, _ in self._values]
        try:
            for module, name, value in self._values:
                module._buffers[name] = None if value is None else value.clone()
            yield
        finally:
            for (module, name, _), original in zip(self._values, originals, strict=True):
                module._buffers[name] = original


def _may_move(module: nn.Module, name: str, buffer: Tensor) -> bool:
    if buffer.numel() <= _LARGE:
        return True
    seen, now = _large.setdefault(module, {}), (id(buffer), buffer._version)
    if name in seen and seen[name] == now:
        return False
    seen[name] = None if name in seen else now
    return True
