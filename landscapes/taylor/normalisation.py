"""Normalisations: by statistics of their own input (batch norm in training, layer, group, instance norm) or fixed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .elementwise import powered
from .jet import Jet, NotCoveredError, is_jet, rule
from .products import added, multiplied

__all__: list[str] = []


def _shaped(parameter: Any, shape: Sequence[int]) -> Any:
    if parameter is None:
        return None
    return parameter.view(*shape)


def _affine(x: Any, weight: Any, bias: Any, shape: Sequence[int]) -> Any:
    if weight is not None:
        x = multiplied(torch.mul, x, _shaped(weight, shape))
    return x if bias is None else added(x, _shaped(bias, shape))


def _standardised(x: Any, axes: Sequence[int], eps: float) -> Any:
    """``(x - mean) / sqrt(var + eps)`` over the given axes, counted from the end."""
    axes = list(axes)
    if not is_jet(x):
        centred = x - x.mean(axes, keepdim=True)
        return centred * (centred.square().mean(axes, keepdim=True) + eps).rsqrt()
    stack = x.stack
    centred = stack - stack.mean(axes, keepdim=True)
    jet = Jet.of_stack(centred, x.order)
    variance = multiplied(lambda a, b: (a * b).mean(axes, keepdim=True), jet, jet)
    return multiplied(torch.mul, jet, powered(added(variance, eps), -0.5))


@rule(functional.layer_norm)
def _layer_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    shape = tuple(normalized_shape)
    return _affine(_standardised(input, range(-len(shape), 0), eps), weight, bias, shape)


@rule(functional.batch_norm)
def _batch_norm(
    input: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Running statistics do not move."""
    channels = (-1, *[1] * (input.ndim - 2))
    if training or running_mean is None or running_var is None:
        axes = [-input.ndim, *range(2 - input.ndim, 0)]
        return _affine(_standardised(input, axes, eps), weight, bias, channels)
    scale = (running_var + eps).rsqrt().view(channels)
    shift = -running_mean.view(channels) * scale
    if not is_jet(input):
        return _affine(input * scale + shift, weight, bias, channels)
    return _affine(added(Jet.of_stack(input.stack * scale, input.order), shift), weight, bias, channels)


@rule(torch._weight_norm)
def _weight_norm(v: Any, g: Any, dim: int = 0) -> Any:
    axes = list(range(v.ndim)) if dim == -1 else [axis for axis in range(v.ndim) if axis != dim % v.ndim]
    squares = multiplied(torch.mul, v, v) if is_jet(v) else v * v
    total = squares.sum(axes, keepdim=True)
    inverse = powered(total, -0.5) if is_jet(total) else total.rsqrt()
    return multiplied(torch.mul, v, multiplied(torch.mul, g, inverse))


@rule(functional.group_norm)
def _group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if input.ndim < 2:
        raise NotCoveredError("group norm without a batch axis")
    shape = input.shape
    grouped = input.reshape(shape[0], num_groups, -1)
    normal = _standardised(grouped, [-1], eps).reshape(*shape)
    return _affine(normal, weight, bias, (-1, *[1] * (len(shape) - 2)))


@rule(functional.instance_norm)
def _instance_norm(
    input: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if not use_input_stats:
        return _batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    channels = (-1, *[1] * (input.ndim - 2))
    return _affine(_standardised(input, range(2 - input.ndim, 0), eps), weight, bias, channels)
