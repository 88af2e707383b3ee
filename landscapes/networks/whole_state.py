"""All tensors that a module's outputs depend on, in and out."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["load_whole_state", "whole_state"]


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    """The module's own state and the buffers that it leaves out, which its passes may change as well.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> model.register_buffer("passes", torch.zeros(()), persistent=False)
        >>> list(model.state_dict()), list(whole_state(model))
        (['weight'], ['weight', 'passes'])
    """
    known: dict[str, Tensor] = model.state_dict()
    return {**known, **{name: buffer for name, buffer in model.named_buffers() if name not in known}}


@torch.no_grad()
def load_whole_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Inverse of :func:`whole_state`.

    Args:
        model: of the same architecture.
        state: its tensors, on any device; a buffer that it lacks had not been made.

    Raises:
        RuntimeError: a tensor is missing, or of another shape.
        KeyError: one of its names is no tensor of the module.
    """
    known = model.state_dict()
    model.load_state_dict({name: tensor for name, tensor in state.items() if name in known})
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    for name in (whole_state(model).keys() | state.keys()) - known.keys():
        path, _, key = name.rpartition(".")
        owner, tensor = model.get_submodule(path), state.get(name)
        if key not in owner._buffers:
            raise KeyError(name)
        buffer = getattr(owner, key)
        if tensor is None:
            setattr(owner, key, None)
        elif buffer is None or (buffer.shape, buffer.dtype) != (tensor.shape, tensor.dtype):
            setattr(owner, key, tensor.to(device, copy=True))  # a cache takes the form of the last batch
        elif not torch.equal(buffer, tensor := tensor.to(buffer.device)):
            buffer.copy_(tensor)  # a constant may be a view that cannot be written
