"""Softmax and the losses.

With ``p = softmax(x_0)`` and means and variances under ``p``, the log-sum-exp has the coefficients
``l_1 = <x_1>``, ``l_2 = <x_2> + var(x_1) / 2``.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from .elementwise import applied, exponential, log_one_plus_exp
from .jet import Jet, NotCoveredError, any_true, checked_axis, is_jet, is_mapped, rule
from .mapped import on_all_pairs
from .products import added, multiplied

__all__: list[str] = []


class _CrossEntropy(Function):
    """Mean cross-entropy of scores ``(k, ..., rows, classes)`` against classes ``(..., rows)``, shape ``(k, ...)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, targets: Tensor, order: int) -> Tensor:
        kept, rows = x.shape[0], x.shape[-2]
        first, places = x[0], targets.unsqueeze(-1)
        logarithm = torch.log_softmax(first, -1)
        p = logarithm.exp()
        # Softmax minus the one-hot target, divided by the number of rows.
        error = p.scatter(-1, places, -1.0, reduce="add").mul_(1 / rows)
        value = logarithm.gather(-1, places).sum((-2, -1)).mul_(-1 / rows).unsqueeze(0)
        if kept == 1:
            ctx.save_for_backward(x, p, error)
            return value
        along = x[1]
        centred = along - (p * along).sum(-1, keepdim=True)
        bent = (p * centred).mul_(1 / rows)
        slopes = (x[1:] * error).sum((-2, -1))
        ctx.save_for_backward(x, p, error, centred, bent)
        if order == 1:
            return torch.cat([value, slopes])
        bend = (bent * centred).sum((-2, -1)).mul_(0.5)
        if kept == 2:
            return torch.cat([value, slopes, bend.unsqueeze(0)])
        slopes[1] += bend
        return torch.cat([value, slopes])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, p, error, *rest = ctx.saved_tensors
        kept, rows = x.shape[0], x.shape[-2]
        grad = grad[..., None, None]
        gx = grad[:kept] * error
        if kept > 1:
            centred, bent = rest
            first = gx[0].addcmul_(grad[1], bent)
            if grad.shape[0] > 2:
                gx[1].addcmul_(grad[2], bent)
                # The derivative of var(x_1) / 2 + <x_2> along the scores.
                inner = centred * centred
                if kept > 2:
                    inner.add_(x[2], alpha=2)
                inner.sub_((p * inner).sum(-1, keepdim=True)).mul_(p)
                first.addcmul_(grad[2], inner, value=0.5 / rows)
        return gx, None, None


def _log_softmax_of(x: Jet, dim: int) -> Jet:
    parts = x.parts
    value = torch.log_softmax(parts[0], dim)
    if len(parts) == 1:
        return Jet.of_parts([value], x.order)
    p = value.exp()

    def mean(v: Tensor) -> Tensor:
        return (p * v).sum(dim, keepdim=True)

    centred = parts[1] - mean(parts[1])
    result = [value, centred]
    if x.order > 1:
        second = -0.5 * mean(centred * centred)
        result.append(second.expand(value.shape) if len(parts) == 2 else parts[2] - mean(parts[2]) + second)
    return Jet.of_parts(result, x.order)


@rule(functional.log_softmax, torch.log_softmax, Tensor.log_softmax)
def _log_softmax(input: Jet, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Jet:
    if dim is None or dtype is not None:
        raise NotCoveredError("log-softmax without an axis or with a change of type")
    return _log_softmax_of(input, checked_axis(dim, input.ndim))


@rule(functional.softmax, torch.softmax, Tensor.softmax)
def _softmax(input: Jet, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Jet:
    if dim is None or dtype is not None:
        raise NotCoveredError("softmax without an axis or with a change of type")
    axis = checked_axis(dim, input.ndim)
    parts = input.parts
    p = torch.softmax(parts[0], axis)
    if len(parts) == 1:
        return Jet.of_parts([p], input.order)
    centred = parts[1] - (p * parts[1]).sum(axis, keepdim=True)
    result = [p, p * centred]
    if input.order > 1:
        bend = 0.5 * centred * centred
        if len(parts) > 2:
            bend = bend + parts[2]
        result.append(p * (bend - (p * bend).sum(axis, keepdim=True)))
    return Jet.of_parts(result, input.order)


@rule(functional.cross_entropy)
def _cross_entropy(
    input: Jet,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    if size_average is not None or reduce is not None or weight is not None or is_jet(target):
        raise NotCoveredError("cross-entropy with class weights or old arguments")
    classes, shape = not target.is_floating_point(), input.shape
    dims = len(shape)
    expected = (*shape[:1], *shape[2:]) if dims > 1 else ()
    if target.shape != (expected if classes else shape) or target.dtype in (torch.bool, torch.uint8):
        raise NotCoveredError("cross-entropy with targets of an unusual shape or type")
    if classes and any_true(target == ignore_index):
        raise NotCoveredError("cross-entropy with ignored targets")
    if classes and dims == 2 and reduction == "mean" and not label_smoothing:
        if is_mapped():
            order = input.order
            stack = on_all_pairs(lambda x, y: _CrossEntropy.apply(x, y, order), (1, 0), input.stack, target)
            return Jet.of_stack(stack, order)
        return Jet.of_stack(_CrossEntropy.apply(input.stack, target, input.order), input.order)
    axis = 0 if dims == 1 else 1
    if classes:
        names = torch.arange(shape[axis], device=target.device)  # one_hot itself looks at values
        if any_true((target < 0) | (target >= len(names))):
            raise NotCoveredError("cross-entropy with targets that are no classes")
        target = (target.unsqueeze(-1) == names).movedim(-1, axis).to(input.dtype)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / shape[axis]
    logarithm = _log_softmax_of(input, axis - dims)
    return _reduced(multiplied(torch.mul, logarithm, -target).sum(axis), reduction)


def _reduced(x: Any, reduction: str) -> Any:
    if reduction == "none":
        return x
    if reduction not in ("mean", "sum"):
        raise NotCoveredError(f"reduction {reduction!r}")
    return x.mean() if reduction == "mean" else x.sum()


@rule(functional.nll_loss)
def _nll_loss(
    input: Jet,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    if weight is not None or size_average is not None or reduce is not None or is_jet(target):
        raise NotCoveredError("a likelihood with class weights or old arguments")
    if input.ndim != 2 or target.shape != input.shape[:1] or target.dtype != torch.int64:
        raise NotCoveredError("a likelihood with several axes or unusual targets")
    if any_true(target == ignore_index):
        raise NotCoveredError("a likelihood with ignored targets")
    chosen = input.stack.gather(-1, target.view(1, -1, 1).expand(len(input.stack), -1, 1)).squeeze(-1)
    return _reduced(Jet.of_stack(-chosen, input.order), reduction)


@rule(functional.mse_loss)
def _mse_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", weight: Any = None
) -> Any:
    if size_average is not None or reduce is not None or weight is not None:
        raise NotCoveredError("a mean squared error with weights or old arguments")
    if input.shape != target.shape:
        raise NotCoveredError("a mean squared error that broadcasts")
    difference = added(input, target, -1)
    return _reduced(multiplied(torch.mul, difference, difference), reduction)


@rule(functional.binary_cross_entropy_with_logits)
def _binary(
    input: Jet,
    target: Tensor,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    if any(given is not None for given in (weight, size_average, reduce, pos_weight)) or is_jet(target):
        raise NotCoveredError("a binary cross-entropy with weights or old arguments")
    if input.shape != target.shape or not target.is_floating_point():
        raise NotCoveredError("a binary cross-entropy that broadcasts or has whole numbers as targets")
    opposite = Jet.of_stack(-input.stack, input.order)
    return _reduced(applied(opposite, log_one_plus_exp) + input * (1 - target), reduction)


@rule(torch.logsumexp, Tensor.logsumexp)
def _logsumexp(input: Jet, dim: Any, keepdim: bool = False) -> Any:
    if not isinstance(dim, int):
        raise NotCoveredError("log-sum-exp over several axes")
    dim = checked_axis(dim, input.ndim)
    shift = input.parts[0].detach().amax(dim, keepdim=True)
    total = applied(added(input, shift, -1), exponential).sum(dim, keepdim)
    return torch.log(total) + (shift if keepdim else shift.squeeze(dim))
