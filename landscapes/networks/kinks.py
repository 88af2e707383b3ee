"""Operations of a network whose derivatives jump."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .network import NetworkLandscape

__all__ = ["kinked_operations"]

_KINKED = (
    "relu", "leaky_relu", "rrelu_with_noise", "prelu", "_prelu_kernel", "threshold", "hardtanh", "hardsigmoid",
    "hardswish", "hardshrink", "softshrink", "abs", "clamp", "clamp_min", "clamp_max", "maximum", "minimum", "max",
    "amax", "max_pool2d", "max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d",
)  # fmt: skip


class _Names(TorchDispatchMode):
    """Collects the names of what is computed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: dict[str, None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[func.overloadpacket.__name__.rstrip("_")] = None
        return func(*args, **(kwargs or {}))


def kinked_operations(landscape: NetworkLandscape) -> list[str]:
    """Names of operations of one minibatch's loss that are not smooth, such as ``relu``.

    Derivatives of such a network are those of its smooth pieces: what a curve has where it crosses a kink is in none
    of them, and no difference at one point shows it.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> data = torch.eye(2), torch.arange(2)
        >>> f = NetworkLandscape.from_tensors(model, nn.functional.cross_entropy, *data)
        >>> kinked_operations(f)
        ['relu']
    """
    with _Names() as names, torch.no_grad():
        landscape.minibatch_loss(landscape.point(), 0)
    return [name for name in names.seen if name in _KINKED]
