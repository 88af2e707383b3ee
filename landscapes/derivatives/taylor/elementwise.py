"""Elementwise functions: ``y_1 = f' x_1``, ``y_2 = f' x_2 + f'' x_1^2 / 2``, and a backward pass that needs ``f'''``.

Each function gives its value and first three derivatives together, since they share their costly parts.
"""

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from .jet import Jet, NotCoveredError, is_jet, is_mapped, rule
from .mapped import on_all_pairs
from .products import multiplied

__all__ = ["KinkWarning", "applied", "exponential", "log_one_plus_exp", "powered", "warn_kinks"]

Derivatives = Callable[[Tensor], Iterable[Tensor]]  # x to f, f', f'', f'''


class _Elementwise(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, derivatives: Derivatives, order: int) -> Tensor:
        kept = x.shape[0]
        count = order + 1 if kept > 1 else 1
        # As many as the backward pass needs.
        f, f1, *higher = itertools.islice(derivatives(x[0]), count + 1)
        y = x.new_empty(count, *x.shape[1:])
        y[0] = f
        if kept > 1:
            along = x[1] * higher[0]
            torch.mul(f1, x[1:], out=y[1:kept])
            if kept > 2:
                y[2].addcmul_(along, x[1], value=0.5)
            elif count > 2:
                torch.mul(along, x[1], out=y[2]).mul_(0.5)
            higher[0:0] = [along]
        ctx.save_for_backward(x, f1, *higher)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, f1, *higher = ctx.saved_tensors
        kept = x.shape[0]
        gx = f1 * grad[:kept]
        if kept > 1:
            along, f2, *rest = higher
            first = gx[0].addcmul_(grad[1], along)
            if rest:
                last, x1 = grad[2], x[1]
                gx[1].addcmul_(last, along)
                bend = (rest[0] * x1).mul_(x1)
                if kept > 2:
                    bend.add_(f2 * x[2], alpha=2)
                first.addcmul_(last, bend, value=0.5)
        return gx, None, None


def applied(x: Jet, derivatives: Derivatives) -> Jet:
    """The series of an elementwise function."""
    if is_mapped():
        stack = on_all_pairs(lambda given: _Elementwise.apply(given, derivatives, x.order), (1,), x.stack)
        return Jet.of_stack(stack, x.order)
    return Jet.of_stack(_Elementwise.apply(x.stack, derivatives, x.order), x.order)


def _gelu(x: Tensor) -> Iterator[Tensor]:
    """One after the other: fewer are needed at lower orders."""
    mass = torch.erf(x * math.sqrt(0.5)).add_(1).mul_(0.5)
    yield x * mass
    square = x * x
    density = torch.mul(square, -0.5).exp_().mul_(1 / math.sqrt(2 * math.pi))
    yield mass + density * x
    yield (2 - square).mul_(density)
    yield square.sub_(4).mul_(x).mul_(density)


def _tanh(x: Tensor) -> Iterator[Tensor]:
    t = torch.tanh(x)
    yield t
    square = t * t
    slope = 1 - square
    yield slope
    yield (slope * t).mul_(-2)
    yield square.mul_(6).sub_(2).mul_(slope)


def _sigmoid(x: Tensor) -> tuple[Tensor, ...]:
    s = torch.sigmoid(x)
    slope = s * (1 - s)
    return s, slope, slope * (1 - 2 * s), slope * (1 - 6 * slope)


def _silu(x: Tensor) -> tuple[Tensor, ...]:
    s, s1, s2, s3 = _sigmoid(x)
    return x * s, s + x * s1, 2 * s1 + x * s2, 3 * s2 + x * s3


def exponential(x: Tensor) -> tuple[Tensor, ...]:
    """The exponential and its derivatives."""
    y = torch.exp(x)
    return y, y, y, y


def log_one_plus_exp(x: Tensor) -> tuple[Tensor, ...]:
    """Softplus without a threshold, exact in both tails, and its derivatives."""
    s, rest = torch.sigmoid(x), torch.sigmoid(-x)
    slope = s * rest
    return functional.relu(x) + torch.log1p(torch.exp(-x.abs())), s, slope, slope * (rest - s)


def _log(x: Tensor) -> tuple[Tensor, ...]:
    inverse = 1 / x
    return torch.log(x), inverse, -(inverse**2), 2 * inverse**3


def _sin(x: Tensor) -> tuple[Tensor, ...]:
    s, c = torch.sin(x), torch.cos(x)
    return s, c, -s, -c


def _cos(x: Tensor) -> tuple[Tensor, ...]:
    s, c = torch.sin(x), torch.cos(x)
    return c, -s, -c, s


for _functions, _derivatives in (
    ((torch.tanh, Tensor.tanh, functional.tanh), _tanh),
    ((torch.sigmoid, Tensor.sigmoid, functional.sigmoid), _sigmoid),
    ((torch.exp, Tensor.exp), exponential),
    ((torch.log, Tensor.log), _log),
    ((torch.sin, Tensor.sin), _sin),
    ((torch.cos, Tensor.cos), _cos),
):
    rule(*_functions)(lambda input, _given=_derivatives: applied(input, _given))


def _in_place(x: Jet, inplace: bool, derivatives: Derivatives) -> Jet:
    result = applied(x, derivatives)
    return x.become(result) if inplace else result


@rule(functional.silu)
def _silu_rule(input: Jet, inplace: bool = False) -> Jet:
    return _in_place(input, inplace, _silu)


@rule(functional.gelu, torch._C._nn.gelu)
def _gelu_rule(input: Jet, approximate: str = "none") -> Any:
    if approximate == "none":
        return applied(input, _gelu)
    inner = input * math.sqrt(2 / math.pi) + powered(input, 3) * (0.044715 * math.sqrt(2 / math.pi))
    return input * 0.5 * (torch.tanh(inner) + 1)


@rule(functional.softplus, torch._C._nn.softplus)
def _softplus(input: Jet, beta: float = 1, threshold: float = 20) -> Jet:
    def derivatives(x: Tensor) -> tuple[Tensor, ...]:
        s, s1, s2, _ = _sigmoid(x * beta)
        linear = x * beta > threshold  # torch's own function is the identity there
        s1, s2 = s1 * beta, s2 * beta**2
        return (
            functional.softplus(x, beta, threshold),
            torch.where(linear, 1, s),
            torch.where(linear, 0, s1),
            torch.where(linear, 0, s2),
        )

    return applied(input, derivatives)


def _piecewise(x: Jet, name: str, slope: Tensor, inplace: bool = False) -> Jet:
    """A piecewise linear function with the given slope, ``slope * x``."""
    if x.order > 1:
        warn_kinks(name)
    result = Jet.of_stack(x.stack * slope, x.order)
    return x.become(result) if inplace else result


def warn_kinks(name: str) -> None:
    """Say what a third derivative of a piecewise linear function leaves out."""
    warnings.warn(
        f"{name} has derivatives almost everywhere only: its kinks count as zero in second and third derivatives, so a "
        "Taylor expansion across kinks leaves their share out; use GELU, SiLU, softplus or tanh where that matters",
        KinkWarning,
        stacklevel=2,
    )


class KinkWarning(UserWarning):
    """A third derivative of a piecewise linear network was asked for."""


def _positive(x: Jet) -> Tensor:
    return x.parts[0] > 0  # a truth value needs a quarter of the memory of a number


@rule(functional.relu)
def _relu(input: Jet, inplace: bool = False) -> Jet:
    return _piecewise(input, "ReLU", _positive(input), inplace)


@rule(torch.relu, Tensor.relu)
def _plain_relu(input: Jet) -> Jet:
    return _piecewise(input, "ReLU", _positive(input))


@rule(torch.relu_, Tensor.relu_)
def _relu_in_place(input: Jet) -> Jet:
    return _piecewise(input, "ReLU", _positive(input), inplace=True)


@rule(functional.leaky_relu)
def _leaky_relu(input: Jet, negative_slope: float = 0.01, inplace: bool = False) -> Jet:
    slope = torch.full_like(input.parts[0].detach(), negative_slope).masked_fill_(_positive(input), 1.0)
    return _piecewise(input, "leaky ReLU", slope, inplace)


def powered(x: Jet, exponent: float) -> Jet:
    """``x ** exponent`` for a number."""

    def derivatives(v: Tensor) -> tuple[Tensor, ...]:
        e = exponent
        zero = torch.zeros_like(v)
        falling = [1.0, e, e * (e - 1), e * (e - 1) * (e - 2)]
        return tuple(c * v ** (e - k) if c else zero for k, c in enumerate(falling))  # 0 * inf is not 0

    return applied(x, derivatives)


@rule(torch.pow, Tensor.pow, Tensor.__pow__)
def _pow(input: Any, exponent: Any) -> Jet:
    if not isinstance(exponent, (int, float)) or not is_jet(input):
        raise NotCoveredError("a power whose exponent is a tensor")
    return powered(input, exponent)


@rule(torch.square, Tensor.square)
def _square(input: Jet) -> Jet:
    return multiplied(torch.mul, input, input)


@rule(torch.sqrt, Tensor.sqrt)
def _sqrt(input: Jet) -> Jet:
    return powered(input, 0.5)


@rule(torch.rsqrt, Tensor.rsqrt)
def _rsqrt(input: Jet) -> Jet:
    return powered(input, -0.5)


@rule(torch.reciprocal, Tensor.reciprocal)
def _reciprocal(input: Jet) -> Jet:
    return powered(input, -1)


@rule(torch.div, Tensor.div, Tensor.__truediv__, torch.divide, torch.true_divide)
def _div(a: Any, b: Any) -> Any:
    if is_jet(b):
        return multiplied(torch.mul, a, powered(b, -1)) if isinstance(a, Tensor) else powered(b, -1) * a
    return Jet.of_stack(a.stack / b, a.order) if not isinstance(b, Tensor) else multiplied(torch.mul, a, 1 / b)


@rule(Tensor.__rtruediv__)
def _rdiv(a: Any, b: Any) -> Any:
    return _div(b, a)
