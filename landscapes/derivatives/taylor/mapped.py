"""Rules inside ``torch.func.vmap`` as functions of all pairs' tensors at once, whose graph torch sees."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.autograd import Function

from .jet import NotCoveredError

__all__ = ["on_all_pairs"]


class _OnAllPairs(Function):
    """What vmap hands on to a function of stacked tensors."""

    @staticmethod
    def forward(*arguments: Any) -> Any:
        """Where nothing is mapped."""
        raise NotCoveredError("a function of values that are the same for all pairs")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Asked for by torch, never called."""

    @staticmethod
    def vmap(
        info: Any, dims: Any, function: Callable[..., Tensor], axes: Sequence[int], *tensors: Tensor | None
    ) -> tuple[Tensor, int]:
        """Move the axis of the pairs to its place; what has none is the same for all."""

        def placed(tensor: Tensor | None, dim: int | None, axis: int) -> Tensor | None:
            if tensor is None:
                return None
            if dim is not None:
                return tensor.movedim(dim, axis)
            sizes = [*tensor.shape[:axis], info.batch_size, *tensor.shape[axis:]]
            return tensor.unsqueeze(axis).expand(sizes)

        return function(*(placed(*each) for each in zip(tensors, dims[2:], axes, strict=True))), 1


def on_all_pairs(function: Callable[..., Tensor], axes: Sequence[int], *tensors: Tensor | None) -> Tensor:
    """``function(*tensors)`` of one pair, inside vmap, by the same function of all pairs' tensors.

    Args:
        function: takes tensors that have one more axis, for the pairs, and returns a stack with it behind the
            coefficients, ``(k, N, ...)``.
        axes: where each tensor has that axis.
        tensors: of one pair.

    Example:
        >>> import torch
        >>> x = torch.arange(6.0).view(3, 2)  # three pairs of two coefficients
        >>> torch.func.vmap(lambda row: on_all_pairs(lambda stack: 10 * stack, (1,), row))(x)[2].tolist()
        [40.0, 50.0]
    """
    result: Tensor = _OnAllPairs.apply(function, axes, *tensors)
    return result
