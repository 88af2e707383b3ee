"""Whether a derivative is what differences of the derivative one order below say."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = [
    "Comparison",
    "Outcome",
    "UnusableError",
    "check_direction",
    "compare_near",
    "compare_with_differences",
    "generic_point",
    "is_asymmetric",
    "percent",
    "without_constants",
]

Outcome = Literal["agrees", "differs", "unclear"]

# Steps relative to the size of each parameter tensor. In float64 the first leaves half of the digits to rounding, and
# eight examples of a ResNet-18 mostly meet no kink within it (within 1e-7 they do); the second is for where they do,
# the third for where rounding hides the first. In single precision nothing is so far from both.
_STEPS = {torch.float64: (1e-8, 1e-9, 1e-7), torch.float32: (4e-3, 1e-3, 1.6e-2)}
_TOLERANCE = {torch.float64: 1e-4, torch.float32: 2e-2}  # ours: a hundred times what right networks differ by, and more
_CLEAR = 0.2  # differences that agree among themselves so much better than with the derivative speak against it
# In single precision a step passes many kinks, and differences agree on what these add: right networks with rectifiers
# are then off by a quarter.
_GROSS = {torch.float64: 0.0, torch.float32: 0.5}
_AWAY = 0.1  # ours: far enough for what is 0 to be something, near enough for a network to remain one


class UnusableError(Exception):
    """A function that cannot be evaluated where it would have to be."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        outcome: ``agrees``, with differences at one step size at least; ``differs``, where two step sizes agree with
            each other and not with the derivative; ``unclear``, where no two of them agree (kinks, rounding, noise).
        error: relative difference; of the tensor with the largest one where they differ.
        block: index of that tensor.
    """

    outcome: Outcome
    error: float
    block: int = 0


def check_direction(x: Tensor, shapes: Sequence[torch.Size], seed: int = 0) -> Tensor:
    """A random direction whose part in every parameter tensor is as long as the tensor itself.

    So that one step is small for all of them; tensors that are 0, such as new biases, count as a tenth of the others.

    Example:
        >>> import torch
        >>> x, shapes = torch.tensor([3.0, 4.0, 100.0]), [torch.Size([2]), torch.Size([1])]
        >>> [round(part.norm().item(), 4) for part in check_direction(x, shapes).split([2, 1])]
        [7.0799, 100.0]
    """
    sizes = [shape.numel() for shape in shapes]
    u = torch.rand(len(x), generator=torch.Generator().manual_seed(seed)).sub_(0.5).to(x, copy=True)
    lengths = _lengths(x, sizes)
    floor = 0.1 * float(lengths.square().mean().sqrt())
    for part, length in zip(u.split(sizes), lengths.tolist(), strict=True):
        part.mul_((max(length, floor) if floor else 1.0) / max(float(part.norm()), 1e-30))
    return u


def generic_point(x: Tensor, u: Tensor) -> Tensor:
    """A point near ``x`` at which nothing is 0 by design: a derivative behind a head of zeros is not seen to be wrong.

    Args:
        x: shape ``(d,)``.
        u: of :func:`check_direction`, of which a tenth is added.
    """
    return torch.add(x, u, alpha=_AWAY)


def percent(error: float) -> str:
    """How large an error is, for people.

    Example:
        >>> percent(0.1234), percent(0.0012), percent(1e30)
        ('12%', '0.12%', 'more than 1000%')
    """
    if error > 10:
        return "more than 1000%"
    return f"{error:.0%}" if error >= 0.1 else f"{100 * error:.2g}%"


def without_constants(u: Tensor, above: Tensor, below: Tensor) -> Tensor | None:
    """``u`` without the coordinates that get a gradient of exactly 0 on either side; None where there are none.

    Torch gives no gradient to some parameters though the loss depends on them, such as the padding row of an embedding:
    they are constants, and are not to be moved. (Of others that get none, nothing depends on them.)

    Example:
        >>> import torch
        >>> u = torch.tensor([1.0, 2.0])
        >>> without_constants(u, torch.tensor([0.0, 3.0]), torch.tensor([0.0, 4.0])).tolist()
        [0.0, 2.0]
    """
    constant = (above == 0) & (below == 0) & (u != 0)
    return torch.where(constant, 0.0, u) if bool(constant.any()) else None


def _lengths(vector: Tensor, sizes: Sequence[int]) -> Tensor:
    return torch.stack([part.norm() for part in vector.split(list(sizes))])


def compare_with_differences(
    found: Callable[[], Tensor],
    lower: Callable[[Tensor], Tensor],
    x: Tensor,
    u: Tensor,
    sizes: Sequence[int] | None = None,
) -> Comparison:
    """A derivative along ``u`` beside ``(lower(x + h u) - lower(x - h u)) / (2 h)``.

    Every block of the result has to agree by itself, so that a wrong layer is seen behind a large one. A difference
    that does not agree is no proof yet: a kink of a rectifier between the two points is enough.

    Args:
        found: gives the derivative, shape ``(k,)``; called after the first value of ``lower``.
        lower: what it is the derivative of, from ``(d,)`` to ``(k,)``.
        x: where, shape ``(d,)``, in float64 or float32.
        u: direction, shape ``(d,)``; one unit of it is as large as ``x``.
        sizes: lengths of the blocks, of sum ``k``; default one block.

    Example:
        >>> import torch
        >>> x = torch.tensor([1.0, 2.0], dtype=torch.float64)
        >>> compare_with_differences(lambda: 3 * x**2 * x, lambda x: x**3, x, x).outcome
        'agrees'
        >>> wrong = compare_with_differences(lambda: 2 * x**2 * x, lambda x: x**3, x, x)
        >>> wrong.outcome, round(wrong.error, 6)
        ('differs', 0.333333)
    """
    tolerance, eps = _TOLERANCE[x.dtype], float(torch.finfo(x.dtype).eps)
    value: Tensor | None = None
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    best = float("inf")
    for h in _STEPS[x.dtype]:
        above = lower(torch.add(x, u, alpha=h))
        value = found() if value is None else value
        blocks = sizes or [len(value)]
        difference = (above - lower(torch.sub(x, u, alpha=h))).div_(2 * h)
        error, size = _lengths(value - difference, blocks), _lengths(difference, blocks)
        whole = float(size.norm())
        best = min(best, float(error.norm()) / whole if whole else float(error.norm() > 0))
        allowed = tolerance * (size + 1e-2 * whole)
        if not bool((error <= allowed).all()):
            allowed += 30 * eps / h * _lengths(above, blocks)  # rounding, where there is nothing else
        if bool((error <= allowed).all()):
            return Comparison("agrees", best)
        if bool(difference.isfinite().all()) and not bool(value.isfinite().all()):
            return Comparison("differs", float("inf"), int(error.isnan().int().argmax()))
        for other, other_error, other_allowed in seen:
            clear = (error > allowed) & (other_error > other_allowed)
            clear &= _lengths(difference - other, blocks) < _CLEAR * torch.minimum(error, other_error)
            clear &= error.norm() > _GROSS[x.dtype] * whole
            if bool(clear.any()):
                relative = torch.where(clear, error / size.clamp(min=1e-2 * whole + 1e-300), 0.0)
                block = int(relative.argmax())
                return Comparison("differs", float(relative[block]), block)
        seen.append((difference, error, allowed))
    return Comparison("unclear", best)


def compare_near(
    found: Callable[[Tensor, Tensor], Tensor],
    lower: Callable[[Tensor, Tensor], Tensor],
    constants: Callable[[Tensor, Tensor], Tensor | None],
    x: Tensor,
    shapes: Sequence[torch.Size],
    sizes: Sequence[int] | None = None,
) -> tuple[Comparison, Tensor, Tensor]:
    """:func:`compare_with_differences` near ``x``, and at ``x`` itself where that says nothing.

    Args:
        found: the derivative at a point along a direction.
        lower: what it is the derivative of, at a point (and for the same direction).
        constants: a direction without what torch takes for constants, see :func:`without_constants`; None if it is
            the same.
        x: where.
        shapes: of the tensors that ``x`` holds.
        sizes: lengths of the blocks of the result.

    Returns:
        The comparison, and the point and the direction of it.

    Raises:
        UnusableError: ``lower`` cannot be evaluated at ``x``.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 2.0], dtype=torch.float64)
        >>> wrong = lambda p, u: torch.stack([0 * u[0], 2 * p[1] * u[1]])  # right at 0, and not near it
        >>> shapes = [torch.Size([1]), torch.Size([1])]
        >>> compare_near(wrong, lambda p, u: p**2, lambda p, u: None, x, shapes, sizes=[1, 1])[0].outcome
        'differs'
    """
    u = check_direction(x, shapes)
    near = generic_point(x, u)

    def usable(p: Tensor, along: Tensor) -> Tensor:
        try:
            return lower(p, along)
        except Exception as error:
            if isinstance(error, torch.OutOfMemoryError | MemoryError):
                raise
            raise UnusableError from error

    def at(point: Tensor) -> tuple[Comparison, Tensor]:
        compared = compare_with_differences(lambda: found(point, u), lambda p: usable(p, u), point, u, sizes)
        moving = constants(point, u) if compared.outcome != "agrees" else None
        if moving is None:
            return compared, u
        return (
            compare_with_differences(lambda: found(point, moving), lambda p: usable(p, moving), point, moving, sizes),
            moving,
        )

    try:
        compared, along = at(near)
        if compared.outcome != "unclear":
            return compared, near, along
    except UnusableError:  # parameters may have to be positive, say
        pass
    compared, along = at(x)
    return compared, x, along


def is_asymmetric(gradient: Callable[[Tensor], Tensor], x: Tensor, shapes: Sequence[torch.Size]) -> bool:
    """Whether a gradient is clearly not that of any function: ``u^T J w`` and ``w^T J u`` differ.

    Reverse passes give ``J^T u``, differences and forward passes ``J u``; neither is a Hessian then.

    Args:
        gradient: maps ``(d,)`` to ``(d,)``.
        x: where, in float64; looked at near it, or at it where the gradient is not to be had there.
        shapes: of the tensors that ``x`` holds.

    Raises:
        UnusableError: the gradient cannot be evaluated at ``x`` either.

    Example:
        >>> import torch
        >>> x, shapes = torch.tensor([1.0, 2.0], dtype=torch.float64), [torch.Size([2])]
        >>> is_asymmetric(lambda x: x.exp() * x.exp().sum(), x, shapes)
        False
        >>> is_asymmetric(lambda x: x.flip(0) * torch.tensor([1.0, -1.0]), x, shapes)
        True
    """
    u, w = (check_direction(x, shapes, seed) for seed in (0, 1))
    try:
        return _is_asymmetric_at(generic_point(x, u), gradient, u, w)
    except Exception:  # parameters may have to be positive, say
        try:
            return _is_asymmetric_at(x, gradient, u, w)
        except Exception as error:
            raise UnusableError from error


def _is_asymmetric_at(point: Tensor, gradient: Callable[[Tensor], Tensor], u: Tensor, w: Tensor) -> bool:
    gaps = []
    for direction in (u, w):  # constants first: neither direction may move what torch does not
        above, below = gradient(point + 1e-6 * direction), gradient(point - 1e-6 * direction)
        constant = (above == 0) & (below == 0)
        u, w = torch.where(constant, 0.0, u), torch.where(constant, 0.0, w)
    for h in (1e-6, 1e-7):
        along_u, along_w = ((gradient(point + h * v) - gradient(point - h * v)) / (2 * h) for v in (u, w))
        forth, back = float(along_u @ w), float(along_w @ u)
        scale = float(along_u.norm() * u.norm() + along_w.norm() * w.norm())
        gaps.append(forth - back)
    if not math.isfinite(sum(gaps)):
        raise UnusableError
    return abs(gaps[0]) > max(1e-2 * max(abs(forth), abs(back)), 1e-6 * scale) and (
        abs(gaps[0] - gaps[1]) < _CLEAR * abs(gaps[0])
    )
