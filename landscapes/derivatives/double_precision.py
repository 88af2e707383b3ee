"""Any code of torch's in float64, without a change of it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["DoublePrecision"]

_WIDER = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex32: torch.complex128,
    torch.complex64: torch.complex128,
}
_NARROWING = {Tensor.float, Tensor.half, Tensor.bfloat16}


class DoublePrecision(TorchFunctionMode):
    """Inside this context floating tensors are widened to float64 whenever they enter or leave a function of torch's.

    So are the types that code asks for (``x.float()``, ``dtype=torch.float32``): a part that is computed in float32
    would hide behind its rounding what differences of neighbouring points tell. Constants keep the values that they had
    when they were made in float32; what is written in place into a float32 tensor from outside is not kept.

    Args:
        substitutes: tensors to be taken in place of others, by the ``id`` of these: a function of a module's
            parameters at other values, whoever holds them.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor([2.0]))
        >>> with DoublePrecision({id(w): torch.tensor([3.0], dtype=torch.float64)}):
        ...     y = (w * torch.ones(1)).float()
        >>> y
        tensor([3.], dtype=torch.float64)
    """

    def __init__(self, substitutes: Mapping[int, Tensor] | None = None) -> None:
        super().__init__()
        self.substitutes = substitutes or {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Widen what goes in, and what comes out."""
        args = self._wide(args)
        if func in _NARROWING:
            return args[0] if args[0].is_floating_point() else args[0].double()  # of integers, too
        return self._wide(func(*args, **{key: self._wide(value) for key, value in (kwargs or {}).items()}))

    def _wide(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            value = self.substitutes.get(id(value), value)
            return value.to(_WIDER[value.dtype]) if value.dtype in _WIDER else value
        if isinstance(value, torch.dtype):
            return _WIDER.get(value, value)
        if type(value) in (list, tuple):
            return type(value)(map(self._wide, value))
        return value
