"""Normalisation layers of elementary operations, for derivatives beyond the second.

Torch's fused kernels stop there: the third derivative of train-mode batch norm and of instance norm raises, and that
of layer norm is silently wrong (its double-backward formula holds the statistics constant; checked up to torch 2.14).
"""

from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from typing import Any

from torch import Tensor
from torch.nn.functional import batch_norm, instance_norm, layer_norm
from torch.overrides import TorchFunctionMode

__all__ = ["SmoothNorms"]


class SmoothNorms(TorchFunctionMode):
    """Inside this context batch, instance and layer norm have right derivatives of every order.

    Running statistics do not move; normalisation by running statistics stays with torch, where it is smooth.

    Example:
        >>> import torch
        >>> norm, x = torch.nn.BatchNorm1d(2), torch.tensor([[3.0, 4.0], [5.0, 8.0]])
        >>> with SmoothNorms():
        ...     smooth = norm(x)
        >>> torch.allclose(smooth, norm(x))
        True
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Replace a normalisation by statistics of its own input."""
        kwargs = kwargs or {}
        if func in (batch_norm, instance_norm, layer_norm):
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
