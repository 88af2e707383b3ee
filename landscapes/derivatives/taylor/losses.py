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
from .products import added, multiplied

__all__: list[str] = []


class _CrossEntropy(Function):
    """Mean cross-entropy of class scores ``(k, rows, classes)`` against classes ``(rows,)``, coefficients ``(k,)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, targets: Tensor, order: int) -> Tensor:
        kept = len(x)
        rows = len(targets)
        count = order + 1 if kept > 1 else 1
        logarithm = torch.log_softmax(x[0], -1)
        p = logarithm.exp()
        error = p.clone()  # softmax minus the one-hot target, divided by the number of rows
        error[torch.arange(rows, device=x.device), targets] -= 1
        error /= rows
        y = x.new_zeros(count)
        y[0] = functional.nll_loss(logarithm, targets)
        centred = None
        if kept > 1:
            y[1:kept] = (x[1:] * error).sum((1, 2))
            centred = x[1] - (p * x[1]).sum(-1, keepdim=True)
            if count > 2:
                y[2] += (p * centred * centred).sum() / (2 * rows)
        ctx.save_for_backward(x, p, error, *([] if centred is None else [centred]))
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, p, error, *centred = ctx.saved_tensors
        kept, rows = x.shape[:2]
        gx = grad[:kept, None, None] * error
        if kept > 1:
            c = centred[0]
            bent = p * c / rows
            gx[0] += grad[1] * bent
            if len(grad) > 2:
                gx[1] += grad[2] * bent
                # The derivative of var(x_1) / 2 + <x_2> along the scores.
                inner = 0.5 * (c * c)
                if kept > 2:
                    inner = inner + x[2]
                inner = p * (inner - (p * inner).sum(-1, keepdim=True))
                gx[0] += grad[2] / rows * inner
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
    classes = not target.is_floating_point()
    expected = (*input.shape[:1], *input.shape[2:]) if input.ndim > 1 else ()
    if target.shape != (expected if classes else input.shape) or target.dtype in (torch.bool, torch.uint8):
        raise NotCoveredError("cross-entropy with targets of an unusual shape or type")
    if classes and any_true(target == ignore_index):
        raise NotCoveredError("cross-entropy with ignored targets")
    if classes and input.ndim == 2 and reduction == "mean" and not label_smoothing and not is_mapped():
        return Jet.of_stack(_CrossEntropy.apply(input.stack, target, input.order), input.order)
    axis = 0 if input.ndim == 1 else 1
    if classes:
        names = torch.arange(input.shape[axis], device=target.device)  # one_hot itself looks at values
        if any_true((target < 0) | (target >= len(names))):
            raise NotCoveredError("cross-entropy with targets that are no classes")
        target = (target.unsqueeze(-1) == names).movedim(-1, axis).to(input.dtype)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    logarithm = _log_softmax_of(input, axis - input.ndim)
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
