"""Normalisations of elementary operations, where the derivatives of torch's fused kernels stop being right.

Checked up to torch 2.14: the *second* derivative of weight norm is wrong; the third derivative of train-mode batch norm
and of instance norm raises, and that of layer norm is silently wrong (its double-backward formula holds the statistics
constant).
"""

from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import batch_norm, instance_norm, layer_norm
from torch.overrides import TorchFunctionMode

__all__ = ["SmoothNorms"]


class SmoothNorms(TorchFunctionMode):
    """Inside this context weight, batch, instance and layer norm have right derivatives up to ``order``.

    Running statistics do not move; normalisation by running statistics stays with torch, where it is smooth.

    Args:
        order: of the derivatives to come; what torch does right up to there is left to torch, which is faster.

    Example:
        >>> import torch
        >>> norm, x = torch.nn.BatchNorm1d(2), torch.tensor([[3.0, 4.0], [5.0, 8.0]])
        >>> with SmoothNorms(3):
        ...     smooth = norm(x)
        >>> torch.allclose(smooth, norm(x))
        True
    """

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Replace a normalisation by statistics of its own input."""
        kwargs = kwargs or {}
        if func is torch._weight_norm and self.order > 1:
            v, g, dim = (*args, 0)[:3]
            axes = [axis for axis in range(v.ndim) if axis != dim % v.ndim] if dim != -1 else list(range(v.ndim))
            return v * (g / v.square().sum(axes, keepdim=True).sqrt())
        if func in (batch_norm, instance_norm, layer_norm) and self.order > 2:
            bound = signature(func).bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            x, affine = given["input"], (given["weight"], given["bias"])
            channels = (-1, *[1] * (x.ndim - 2))
            if func is layer_norm:
                shape = tuple(given["normalized_shape"])
                return _standardised(x, range(x.ndim - len(shape), x.ndim), given["eps"], affine, shape)
            if func is batch_norm and given["training"]:
                return _standardised(x, [0, *range(2, x.ndim)], given["eps"], affine, channels)
            if func is instance_norm and given["use_input_stats"]:
                return _standardised(x, range(2, x.ndim), given["eps"], affine, channels)
        return func(*args, **kwargs)


def _standardised(
    x: Tensor,
    axes: Sequence[int],
    eps: float,
    affine: tuple[Tensor | None, Tensor | None],
    affine_shape: tuple[int, ...],
) -> Tensor:
    """``weight * (x - mean) / sqrt(var + eps) + bias`` with mean and biased variance over ``axes``."""
    axes = list(axes)
    centred = x - x.mean(axes, keepdim=True)
    result = centred / (centred.square().mean(axes, keepdim=True) + eps).sqrt()
    weight, bias = affine
    if weight is not None:
        result = result * weight.view(affine_shape)
    return result if bias is None else result + bias.view(affine_shape)
