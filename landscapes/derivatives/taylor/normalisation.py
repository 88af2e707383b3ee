"""Normalisations: by statistics of their own input (batch norm in training, layer, group, instance norm) or fixed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from .elementwise import powered
from .jet import Jet, NotCoveredError, is_jet, is_mapped, rule
from .products import added, is_computed, multiplied, parameter_and_direction

__all__: list[str] = []


def _shaped(parameter: Any, shape: Sequence[int]) -> Any:
    if parameter is None:
        return None
    return parameter.view(*shape)


def _affine(x: Any, weight: Any, bias: Any, shape: Sequence[int]) -> Any:
    if weight is not None:
        weight = _shaped(weight, shape)
        x = multiplied(torch.mul, x, weight) if is_jet(x) or is_jet(weight) else x * weight
    if bias is None:
        return x
    bias = _shaped(bias, shape)
    return added(x, bias) if is_jet(x) or is_jet(bias) else x + bias


class _Standardised(Function):
    """``y = c A + B`` with ``c = x - mean``, ``A = w (mean(c^2) + eps)^(-1/2)``, all of them series in ``t``.

    ``A`` has the shape of the statistics: only ``c`` is as large as the input, and nothing else is saved.

    Args:
        x: coefficients, shape ``(k, ...)``.
        w: weight and its direction, stacked, broadcasting against the statistics; or None.
        b: the same of the bias.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor | None, b: Tensor | None, axes: list[int], eps: float, order: int
    ) -> Tensor:
        centred = x - x.mean(axes, keepdim=True)
        affine = w is not None or b is not None
        count = order + 1 if len(x) > 1 else min(order, int(affine)) + 1
        variances = [_product_sum(centred, centred, k).mean(axes, keepdim=True) for k in range(count)]
        scale = _scale(variances, w, eps)
        y = torch.empty(count, *x.shape[1:], dtype=x.dtype, device=x.device)
        for k in range(count):
            terms = [(i, k - i) for i in range(len(x)) if 0 <= k - i < len(scale)]
            torch.mul(centred[terms[0][0]], scale[terms[0][1]], out=y[k])
            for i, j in terms[1:]:
                y[k].addcmul_(centred[i], scale[j])
            if b is not None and k < len(b):
                y[k] += b[k]
        ctx.save_for_backward(centred, *variances)
        ctx.given = axes, eps, w, None if b is None else b.shape
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        centred, *variances = ctx.saved_tensors
        axes, eps, w, bias_shape = ctx.given
        with torch.enable_grad():  # the small part, by torch
            leaves = [v.detach().requires_grad_() for v in variances]
            weight = None if w is None else w.detach().requires_grad_()
            scale = _scale(leaves, weight, eps)
        slopes = []
        for j, a in enumerate(scale):
            pairs = [(k, k - j) for k in range(len(grad)) if 0 <= k - j < len(centred)]
            total = sum(((grad[k] * centred[i]).sum_to_size(a.shape) for k, i in pairs), torch.zeros_like(a))
            slopes.append(total)
        inputs = [*leaves, *([] if weight is None else [weight])]
        small = torch.autograd.grad(scale, inputs, slopes, materialize_grads=True)
        count = centred[0].numel() // variances[0].numel()
        gx = torch.empty_like(centred)
        for i in range(len(centred)):
            gx[i] = 0
            for k in range(i, len(grad)):
                gx[i].addcmul_(grad[k], scale[k - i].detach())
                if k - i < len(centred):
                    gx[i].addcmul_(centred[k - i], small[k], value=2 / count)
        gx -= gx.mean(axes, keepdim=True)
        gb = None
        if bias_shape is not None:
            gb = torch.zeros(bias_shape, dtype=grad.dtype, device=grad.device)
            gb[0] = grad[0].sum_to_size(bias_shape[1:])
        return gx, small[-1] if weight is not None else None, gb, None, None, None


def _product_sum(a: Tensor, b: Tensor, k: int) -> Tensor:
    """The k-th coefficient of a product of two series."""
    terms = [a[i] * b[k - i] for i in range(len(a)) if 0 <= k - i < len(b)]
    return sum(terms[1:], terms[0]) if terms else torch.zeros_like(a[0])


def _scale(variances: list[Tensor], w: Tensor | None, eps: float) -> list[Tensor]:
    """``w (v + eps)^(-1/2)``."""
    root = (variances[0] + eps).rsqrt()
    series = [root]
    if len(variances) > 1:
        series.append(-0.5 * variances[1] * root**3)
    if len(variances) > 2:
        series.append(-0.5 * variances[2] * root**3 + 0.375 * variances[1] ** 2 * root**5)
    if w is None:
        return series
    return [series[k] * w[0] + series[k - 1] * w[1] if k else series[0] * w[0] for k in range(len(series))]


def _standardised(x: Any, axes: Sequence[int], eps: float, weight: Any = None, bias: Any = None) -> Any:
    """``(x - mean) / sqrt(var + eps)`` over the given axes, counted from the end; then the affine map, if any."""
    if is_mapped():
        return _composed(x, axes, eps, weight, bias)
    order = next(value.order for value in (x, weight, bias) if is_jet(value))
    stack = x.stack if is_jet(x) else x.unsqueeze(0)
    pairs = [None if p is None else torch.stack(parameter_and_direction(p)) for p in (weight, bias)]
    return Jet.of_stack(_Standardised.apply(stack, *pairs, list(axes), eps, order), order)


def _composed(x: Any, axes: Sequence[int], eps: float, weight: Any, bias: Any) -> Any:
    """The same in functions that torch can map; weight and bias have their final shape."""
    axes = list(axes)

    def mean(value: Any) -> Any:
        if is_jet(value):
            return Jet.of_stack(value.stack.mean(axes, keepdim=True), value.order)
        return value.mean(axes, keepdim=True)

    if is_jet(x):
        centred: Any = added(x, mean(x), -1)
        scale: Any = powered(added(mean(multiplied(torch.mul, centred, centred)), eps), -0.5)
        x = multiplied(torch.mul, centred, scale)
    else:
        centred = x - mean(x)
        x = centred * (mean(centred * centred) + eps).rsqrt()
    if weight is not None:
        x = multiplied(torch.mul, x, weight) if is_jet(x) or is_jet(weight) else x * weight
    if bias is None:
        return x
    return added(x, bias) if is_jet(x) or is_jet(bias) else x + bias


@rule(functional.layer_norm, torch.layer_norm)
def _layer_norm(
    input: Any,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:
    shape = tuple(normalized_shape)
    if input.shape[-len(shape) :] != shape:
        raise NotCoveredError("layer norm of another shape")
    normal = (
        _standardised(input, range(-len(shape), 0), eps)
        if is_jet(input)
        else functional.layer_norm(input, shape, eps=eps)
    )
    return _affine(normal, weight, bias, shape)


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
    if training:
        if input.numel() == input.shape[1]:
            raise NotCoveredError("batch norm over one value per channel")
        axes = [-input.ndim, *range(2 - input.ndim, 0)]
        if is_computed(weight) or is_computed(bias):
            raise NotCoveredError("a weight of batch norm that is computed from parameters")
        return _standardised(input, axes, eps, _shaped(weight, channels), _shaped(bias, channels))
    if running_mean is None or running_var is None:
        raise NotCoveredError("batch norm in evaluation without running statistics")
    scale = (running_var + eps).rsqrt().view(channels)
    shift = -running_mean.view(channels) * scale
    if not is_jet(input):
        return _affine(input * scale + shift, weight, bias, channels)
    return _affine(added(Jet.of_stack(input.stack * scale, input.order), shift), weight, bias, channels)


@rule(torch.batch_norm)
def _batch_norm_of_torch(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@rule(torch._weight_norm)
def _weight_norm(v: Any, g: Any, dim: int = 0) -> Any:
    axes = list(range(v.ndim)) if dim == -1 else [axis for axis in range(v.ndim) if axis != dim % v.ndim]
    squares = multiplied(torch.mul, v, v) if is_jet(v) else v * v
    total = squares.sum(axes, keepdim=True)
    inverse = powered(total, -0.5) if is_jet(total) else total.rsqrt()
    return multiplied(torch.mul, v, multiplied(torch.mul, g, inverse))


@rule(functional.group_norm, torch.group_norm)
def _group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn_enabled: bool = True
) -> Any:
    if input.ndim < 2:
        raise NotCoveredError("group norm without a batch axis")
    shape = input.shape
    if shape[1] % num_groups or input.numel() == num_groups:
        raise NotCoveredError("group norm over unequal groups or over one value per group")
    if is_jet(input):
        grouped = Jet.of_stack(
            input.stack.reshape(-1, shape[0], num_groups, input.numel() // (shape[0] * num_groups)), input.order
        )
        normal: Any = _standardised(grouped, [-1], eps)
        normal = Jet.of_stack(normal.stack.reshape(-1, *shape), input.order)
    else:
        normal = functional.group_norm(input, num_groups, eps=eps)
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
    axes = range(2 - input.ndim, 0)
    if input.numel() == input.shape[0] * input.shape[1]:
        raise NotCoveredError("instance norm over one value per channel")
    normal = _standardised(input, axes, eps) if is_jet(input) else functional.instance_norm(input, eps=eps)
    return _affine(normal, weight, bias, channels)


@rule(torch.instance_norm)
def _instance_norm_of_torch(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    return _instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)
