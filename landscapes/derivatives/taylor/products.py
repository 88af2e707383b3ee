"""Products of two series: linear layers, convolutions, matrix and elementwise products, sums.

Linear layers and convolutions have their own backward pass: the coefficients of the input are rows of one larger batch,
so that the weight's gradient is one product, and the direction ``U``, a constant, costs no gradient.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from .jet import Jet, NotCoveredError, any_true, broadcast_stacks, is_jet, is_mapped, rule
from .mapped import on_all_pairs

__all__ = ["added", "attention_weights", "is_computed", "multiplied", "parameter_and_direction"]


class _Linear(Function):
    """Coefficients ``y_k = x_k W^T + x_{k-1} U^T``, ``k <= order``, and the bias's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, u: Tensor, b: Tensor | None, c: Tensor | None, order: int) -> Tensor:
        kept, inputs = len(x), x.shape[-1]
        count = min(kept + 1, order + 1)
        rows = x.reshape(kept, -1, inputs)
        many = rows.shape[1]
        y = rows.new_empty(count, many, len(w))
        flat = rows.reshape(-1, inputs)
        torch.mm(flat, w.t(), out=y[:kept].view(kept * many, -1))
        if count > kept:  # a coefficient that W does not reach
            torch.mm(rows[-1], u.t(), out=y[kept])
        if kept > 1:
            y[1:kept].view((kept - 1) * many, -1).addmm_(flat[: (kept - 1) * many], u.t())
        if b is not None and c is not None:
            y[0] += b
            y[1] += c
        ctx.save_for_backward(flat, w, u)
        ctx.sizes = x.shape, kept, count, many, b is not None
        return y.view(count, *x.shape[1:-1], len(w))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        flat, w, u = ctx.saved_tensors
        shape, kept, count, many, biased = ctx.sizes
        grad = grad.reshape(count * many, -1)
        seen = grad[: kept * many]
        gx = None
        if ctx.needs_input_grad[0]:
            gx = seen @ w
            gx[: (count - 1) * many].addmm_(grad[many:], u)
            gx = gx.view(shape)
        gw = seen.t() @ flat if ctx.needs_input_grad[1] else None
        return gx, gw, None, (grad[:many].sum(0) if biased else None), None, None


class _PairsLinear(Function):
    """``_Linear`` of several pairs, ``x`` of shape ``(k, N, ..., inputs)``; directions may be computed, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, u: Tensor, b: Tensor | None, c: Tensor | None, order: int) -> Tensor:
        kept, pairs, inputs = x.shape[0], x.shape[1], x.shape[-1]
        count = min(kept + 1, order + 1)
        rows = x.reshape(kept, pairs, -1, inputs)
        y = rows.new_empty(count, pairs, rows.shape[2], w.shape[1])
        by_w, by_u = w.mT, u.mT
        for k in range(count):
            if k < kept:
                _product(rows[k], by_w, y[k])
                if k:
                    y[k].baddbmm_(rows[k - 1], by_u)
            else:
                torch.bmm(rows[k - 1], by_u, out=y[k])
        if b is not None and c is not None:
            y[0] += b.unsqueeze(1)
            y[1] += c.unsqueeze(1)
        ctx.save_for_backward(rows, w, u)
        ctx.shape = x.shape
        return y.view(count, *x.shape[1:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        rows, w, u = ctx.saved_tensors
        kept, count = len(rows), len(grad)
        grad = grad.reshape(count, *rows.shape[1:3], -1)
        wanted = ctx.needs_input_grad
        gx = gw = gu = None
        if wanted[0]:
            gx = torch.empty_like(rows, memory_format=torch.contiguous_format)
            for k in range(kept):
                _product(grad[k], w, gx[k])
                if k + 1 < count:
                    gx[k].baddbmm_(grad[k + 1], u)
            gx = gx.view(ctx.shape)
        if wanted[1]:
            gw = torch.bmm(grad[0].mT, rows[0])
            for k in range(1, kept):
                gw.baddbmm_(grad[k].mT, rows[k])
        if wanted[2]:
            gu = torch.bmm(grad[1].mT, rows[0])
            for k in range(2, count):
                gu.baddbmm_(grad[k].mT, rows[k - 1])
        return gx, gw, gu, grad[0].sum(1) if wanted[3] else None, grad[1].sum(1) if wanted[4] else None, None


def _product(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Of each pair's matrices; one product where all pairs are at one point."""
    if b.stride(0) == 0 and len(b) > 1 and a.is_contiguous():
        torch.mm(a.flatten(0, 1), b[0], out=out.flatten(0, 1))
    else:
        torch.bmm(a, b, out=out)


class _Convolution(Function):
    """``_Linear`` for a convolution with parameters ``arguments`` of ``torch.convolution``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, u: Tensor, b: Tensor | None, c: Tensor | None, order: int, arguments: Any
    ) -> Tensor:
        kept = len(x)
        count = min(kept + 1, order + 1)
        flat = x.flatten(0, 1)
        by_w = torch.convolution(flat, w, None, *arguments).unflatten(0, x.shape[:2])
        by_u = torch.convolution(x[: count - 1].flatten(0, 1), u, None, *arguments).unflatten(0, (count - 1, -1))
        if count > kept:
            y = torch.cat([by_w, by_u[-1:]])
            y[1:kept] += by_u[:-1]
        else:
            y = by_w
            y[1:] += by_u
        if b is not None and c is not None:
            channels = (-1, *[1] * (x.ndim - 3))
            y[0] += b.view(channels)
            y[1] += c.view(channels)
        ctx.save_for_backward(x, w, u)
        ctx.given = count, arguments, b is not None
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, w, u = ctx.saved_tensors
        count, arguments, biased = ctx.given
        kept = len(x)
        backward = torch.ops.aten.convolution_backward
        wanted = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False]
        gx, gw, _ = backward(grad[:kept].flatten(0, 1), x.flatten(0, 1), w, None, *arguments, wanted)
        if gx is not None:
            gx = gx.unflatten(0, x.shape[:2])
            inputs = x[: count - 1].flatten(0, 1)
            more, _, _ = backward(grad[1:].flatten(0, 1), inputs, u, None, *arguments, [True, False, False])
            gx[: count - 1] += more.unflatten(0, (count - 1, -1))
        gb = grad[0].sum([0, *range(2, grad.ndim - 1)]) if biased else None
        return gx, gw, None, gb, None, None, None


def parameter_and_direction(parameter: Any) -> tuple[Tensor, Tensor]:
    """A parameter and its direction; zeros for one that is held fixed."""
    if is_jet(parameter):
        return parameter.parts[0], parameter.parts[1]
    return parameter, torch.zeros_like(parameter)


def _pair(parameter: Any) -> tuple[Tensor | None, Tensor | None]:
    return (None, None) if parameter is None else parameter_and_direction(parameter)


def is_computed(parameter: Any) -> bool:
    """Whether a series is more than ``W + t U`` with a constant ``U``: what ``_Linear`` and ``_Convolution`` need."""
    return is_jet(parameter) and (len(parameter.parts) != 2 or parameter.parts[1].requires_grad)


def _input(x: Any) -> Tensor:
    return x.stack if is_jet(x) else x.unsqueeze(0)


def _order(*values: Any) -> int:
    return next(value.order for value in values if is_jet(value))


@rule(functional.linear, torch._C._nn.linear)
def _linear(input: Any, weight: Any, bias: Any = None) -> Jet:
    order = _order(input, weight, bias)
    short = all(not is_jet(p) or len(p.parts) == 2 for p in (weight, bias))
    if not short or (not is_mapped() and (is_computed(weight) or is_computed(bias))):
        product = multiplied(functional.linear, input, weight)
        return product if bias is None else added(product, bias)
    w, u = _pair(weight)
    b, c = _pair(bias)
    if is_mapped():
        given = _input(input), w, u, b, c
        stack = on_all_pairs(lambda *tensors: _PairsLinear.apply(*tensors, order), (1, 0, 0, 0, 0), *given)
        return Jet.of_stack(stack, order)
    return Jet.of_stack(_Linear.apply(_input(input), w, u, b, c, order), order)


def _convolution(dims: int, function: Any) -> Callable[..., Jet]:
    def convolve(
        input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Jet:
        if is_mapped() or is_computed(weight) or is_computed(bias):
            product = multiplied(lambda a, b: function(a, b, None, stride, padding, dilation, groups), input, weight)
            return product if bias is None else added(product, bias.view(-1, *[1] * dims))
        order = _order(input, weight, bias)
        x, (w, u), (b, c) = _input(input), _pair(weight), _pair(bias)
        assert w is not None

        def several(value: Any) -> list[int]:
            return [value] * dims if isinstance(value, int) else list(value)

        if padding == "valid":
            padding = 0
        if isinstance(padding, str):
            total = [d * (k - 1) for d, k in zip(several(dilation), w.shape[2:], strict=True)]
            if any(t % 2 for t in total):
                raise NotCoveredError("a convolution that pads one side more")
            padding = [t // 2 for t in total]
        single = x.ndim == dims + 2  # without a batch axis
        if single:
            x = x.unsqueeze(1)
        arguments = (several(stride), several(padding), several(dilation), False, [0] * dims, groups)
        y = _Convolution.apply(x, w, u, b, c, order, arguments)
        return Jet.of_stack(y.squeeze(1) if single else y, order)

    return convolve


for _dims, _function in enumerate((torch.conv1d, torch.conv2d, torch.conv3d), 1):
    rule(_function)(_convolution(_dims, _function))


def multiplied(product: Callable[[Tensor, Tensor], Tensor], a: Any, b: Any) -> Jet:
    """The series of a bilinear function: ``c_k = sum_i product(a_i, b_{k-i})``."""
    order = _order(a, b)
    left = a.parts if is_jet(a) else (a,)
    right = b.parts if is_jet(b) else (b,)
    parts = []
    for k in range(min(order + 1, len(left) + len(right) - 1)):
        terms = [product(left[i], right[k - i]) for i in range(len(left)) if 0 <= k - i < len(right)]
        parts.append(sum(terms[1:], terms[0]))
    return Jet.of_parts(parts, order)


@rule(torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, torch.multiply)
def _mul(a: Any, b: Any) -> Jet:
    if is_jet(a) and not isinstance(b, Tensor):
        return Jet.of_stack(a.stack * b, a.order)
    if is_jet(b) and not isinstance(a, Tensor):
        return Jet.of_stack(b.stack * a, b.order)
    return multiplied(torch.mul, a, b)


@rule(torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.mm, Tensor.mm)
def _matmul(a: Any, b: Any) -> Jet:
    return multiplied(torch.matmul, a, b)


@rule(Tensor.__rmatmul__)
def _rmatmul(a: Any, b: Any) -> Jet:
    return multiplied(torch.matmul, b, a)


@rule(torch.baddbmm, torch.addmm)
def _baddbmm(input: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Jet:
    return added(_mul(multiplied(torch.matmul, a, b), alpha), _mul(input, beta) if is_jet(input) else input * beta)


def added(a: Any, b: Any, alpha: float = 1) -> Jet:
    """``a + alpha b``, any of them a number, a tensor or a jet."""
    if is_jet(a) and is_jet(b):
        one, two = broadcast_stacks(a, b)
        if len(one) == len(two):
            return Jet.of_stack(torch.add(one, two, alpha=alpha), a.order)
        shape = torch.broadcast_shapes(a.shape, b.shape)
        common = min(len(one), len(two))
        rest = one[common:] if len(one) > common else two[common:] * alpha
        first = torch.add(one[:common], two[:common], alpha=alpha)
        return Jet.of_stack(torch.cat([first, rest.expand(-1, *shape)]), a.order)
    jet = a if is_jet(a) else b
    constant = torch.as_tensor(a if jet is b else b, dtype=jet.dtype, device=jet.device)
    sign_jet, sign_constant = (1, alpha) if jet is a else (alpha, 1)
    parts = [part if sign_jet == 1 else part * sign_jet for part in jet.parts]
    parts[0] = torch.add(parts[0], constant, alpha=sign_constant)
    return Jet.of_parts([part.expand(parts[0].shape) for part in parts], jet.order)


@rule(torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__)
def _add(a: Any, b: Any, *, alpha: float = 1) -> Jet:
    return added(a, b, alpha)


@rule(torch.sub, Tensor.sub, Tensor.__sub__, torch.subtract)
def _sub(a: Any, b: Any, *, alpha: float = 1) -> Jet:
    return added(a, b, -alpha)


@rule(Tensor.__rsub__, torch.rsub)
def _rsub(a: Any, b: Any) -> Jet:
    return added(b, a, -1)


@rule(torch.neg, Tensor.neg, Tensor.__neg__)
def _neg(a: Jet) -> Jet:
    return Jet.of_stack(-a.stack, a.order)


@rule(Tensor.add_, Tensor.__iadd__)
def _add_in_place(a: Any, b: Any, *, alpha: float = 1) -> Jet:
    if not is_jet(a):
        raise NotCoveredError("an in-place sum into a constant")
    return a.become(added(a, b, alpha))


@rule(Tensor.mul_, Tensor.__imul__)
def _mul_in_place(a: Any, b: Any) -> Jet:
    if not is_jet(a):
        raise NotCoveredError("an in-place product into a constant")
    return a.become(_mul(a, b))


@rule(torch.einsum)
def _einsum(equation: Any, *operands: Any) -> Jet:
    if len(operands) == 1 and isinstance(operands[0], Sequence):
        operands = tuple(operands[0])
    if len(operands) != 2 or not isinstance(equation, str):
        raise NotCoveredError("einsum of other than two operands")
    return multiplied(lambda a, b: torch.einsum(equation, a, b), *operands)


@rule(functional.scaled_dot_product_attention, torch._C._nn.scaled_dot_product_attention)
def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    if dropout_p or enable_gqa or (is_causal and attn_mask is not None):
        raise NotCoveredError("attention with dropout, grouped queries or two masks")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    return multiplied(torch.matmul, attention_weights(query * scale, key, attn_mask, is_causal), value)


def attention_weights(query: Any, key: Any, mask: Any, is_causal: bool) -> Any:
    """``softmax(query key^T + mask)``, by functions that take jets and plain tensors; a truth value allows."""
    scores = torch.matmul(query, key.transpose(-2, -1))
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, -math.inf)
        if mask.dtype != scores.dtype:
            raise NotCoveredError("an attention mask of another type")
        if any_true(torch.isneginf(mask.parts[0] if is_jet(mask) else mask).all(-1)):
            raise NotCoveredError("attention with a row that may attend to nothing")
        scores = scores + mask
    return torch.softmax(scores, -1)
