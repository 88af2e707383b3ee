"""How a network has to be evaluated so that its gradient can be differentiated again."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.utils.checkpoint
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...ground.errors import InputError
from .thread_patch import ThreadPatch

__all__ = ["differentiable", "plain_evaluation", "without_autocast"]


@contextmanager
def differentiable(device: torch.device) -> Iterator[None]:
    """Whatever the caller has switched on or off: gradients can be taken, in full precision, backward passes too."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield


@contextmanager
def without_autocast(device: torch.device) -> Iterator[None]:
    """Passes inside are made in the precision of the parameters, also where they enter ``torch.autocast`` themselves.

    Products of rounded factors are not symmetric, so a Hessian of such passes has no eigenvectors.

    Example:
        >>> import torch
        >>> a = torch.eye(2)
        >>> with without_autocast(a.device), torch.autocast("cpu", dtype=torch.bfloat16):
        ...     (a @ a).dtype
        torch.float32
    """
    with torch.autocast(device.type, enabled=False), _ENTER.inside(), _EXIT.inside():
        yield


@contextmanager
def plain_evaluation() -> Iterator[None]:
    """Forward passes inside use the attention that has all derivatives, and keep all activations.

    The fused attention kernels have no second derivative. Activation checkpointing computes again in the backward
    pass, when the module may hold other parameters: second derivatives come out as 0 without a word. Checkpointed
    segments are therefore evaluated as if they were not, which needs the memory that they were to save.

    Example:
        >>> import torch
        >>> from torch.utils.checkpoint import checkpoint
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> with plain_evaluation():
        ...     y = checkpoint(lambda x: x**3, x, use_reentrant=True)
        >>> y.grad_fn.name()
        'PowBackward0'
    """
    with sdpa_kernel(SDPBackend.MATH), _without_checkpointing():
        yield


_ENTER = ThreadPatch(torch.amp.autocast_mode.autocast, "__enter__", lambda _original, self: self)
_EXIT = ThreadPatch(torch.amp.autocast_mode.autocast, "__exit__", lambda _original, *_: False)


def _once(_original: Any, *_arguments: Any, **_options: Any) -> Iterator[None]:
    """In place of the generator that wraps a segment: nothing before it, nothing behind it."""
    yield


def _plain(_original: Any, function: Any, _preserve: bool, *arguments: Any) -> Any:
    """In place of the autograd function of a segment's ``apply``."""
    return function(*arguments)


def _recomputes(_original: Any, *_arguments: Any, **_options: Any) -> Any:
    raise InputError(
        "the network uses activation checkpointing of a kind that this version of torch does not let us evaluate "
        "plainly; switch it off (for instance model.gradient_checkpointing_disable()) and use smaller batches"
    )


# Both of torch's kinds; names differ between its versions, and the last one refuses where none of the others holds.
_CHECKPOINTING = [
    ThreadPatch(torch.utils.checkpoint, name, replacement)
    for name, replacement in (
        ("CheckpointFunction", _plain),
        ("_checkpoint_without_reentrant_generator", _once),
        ("_checkpoint_without_reentrant_generator_impl", _once),
        ("_CheckpointFrame", _recomputes),
    )
    if hasattr(torch.utils.checkpoint, name)
]


@contextmanager
def _without_checkpointing() -> Iterator[None]:
    with ExitStack() as stack:
        for patch in _CHECKPOINTING:
            stack.enter_context(patch.inside())
        yield
