"""Directional derivatives from values: extrapolated central differences whose step is found by their agreement."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["difference_accuracy", "differenced_product", "natural_step"]

_RATIO = 4.0  # of neighbouring steps
_FARTHEST = 8  # steps from the first one; 4^8 covers parameters that say nothing about the scale of the function


def difference_accuracy(dtype: torch.dtype) -> float:
    """Relative error to expect (ours: 30 times the optimum of a central difference, ``eps^(2/3)``)."""
    return 30 * float(torch.finfo(dtype).eps ** (2 / 3))


def natural_step(x: Sequence[Tensor], v: Sequence[Tensor]) -> float:
    """A step ``h`` with which ``h v`` is a small change of every parameter tensor, whatever the scales of both.

    The size of a matrix is about its spectral norm, as directions of large curvature have low rank. Tensors far smaller
    than the others, such as new biases, count as a tenth of these.
    """
    sizes = torch.tensor([_size(part) for part in x])
    floor = 0.1 * float(sizes.square().mean().sqrt())
    lengths = torch.tensor([float(part.norm()) for part in v])
    if not floor:
        return 1 / float(lengths.norm())
    return float((sizes.clamp(min=floor) / lengths)[lengths > 0].min())


def _size(x: Tensor) -> float:
    return 2 * float(x.norm()) / min(len(x), x[0].numel()) ** 0.5 if x.ndim > 1 and x.numel() else float(x.norm())


def differenced_product(
    gradient: Callable[[Tensor], Tensor], x: Tensor, v: Tensor, step: float
) -> tuple[Tensor, float]:
    """``H v`` as ``E(h) = (16 D(h) - D(4h)) / 15`` with ``D(h) = (g(x + h v) - g(x - h v)) / (2 h)``.

    Small steps lose digits to rounding, large ones leave the neighbourhood of ``x``; where ``E(h)`` and ``E(4h)`` agree
    to the accuracy that can be expected, neither has happened. From ``step`` the search goes to smaller and larger ones
    (7 gradients if the first one is right).

    Returns:
        ``E(h)`` and its relative distance from ``E(4h)``, at the step where that is smallest.

    Example:
        >>> import torch
        >>> x = torch.tensor([1.0, 2.0], dtype=torch.float64)
        >>> value, error = differenced_product(lambda x: x**3, x, torch.tensor([0.0, 1.0], dtype=torch.float64), 1.0)
        >>> value.round(decimals=8), error < 1e-9
        (tensor([ 0., 12.], dtype=torch.float64), True)
    """
    eps = float(torch.finfo(x.dtype).eps)
    first = eps ** (1 / 3) * step / 2
    flat = 10 * eps / first * float(gradient(x).norm())  # what rounding makes of a gradient that does not change
    differences: dict[int, Tensor] = {}

    def difference(k: int) -> Tensor:
        if k not in differences:
            h = first * _RATIO**k
            differences[k] = (gradient(x + h * v) - gradient(x - h * v)) / (2 * h)
        return differences[k]

    def extrapolated(k: int) -> Tensor:
        return (_RATIO**2 * difference(k) - difference(k + 1)) / (_RATIO**2 - 1)

    def disagreement(k: int) -> float:
        value = extrapolated(k)
        size, error = float(value.norm()), float((value - extrapolated(k + 1)).norm())
        if k == 0 and size + error < flat:
            return 0.0
        if not size:  # a constant gradient here, or a flat place far away
            return 0.0 if k == error == 0 else float("inf")
        return error / size if error == error else float("inf")

    enough = difference_accuracy(x.dtype) / 10
    best, least = 0, disagreement(0)
    for direction in (-1, 1):
        k = direction
        # Smaller steps may pass a kink that the next one still meets; larger ones are left when they do not help.
        while least > enough and abs(k) <= _FARTHEST:
            if (found := disagreement(k)) < least:
                best, least = k, found
            elif direction == 1:
                break
            k += direction
    return extrapolated(best), least
