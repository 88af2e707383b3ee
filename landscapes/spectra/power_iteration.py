"""The power method of the paper: the eigenvalue of largest magnitude."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from ...ground.errors import InputError
from .eigenpairs import Eigenpairs, start_vector
from .operators import SymmetricOperator
from .probes import check_pair
from .request import check_operator, check_scale, check_whole

__all__ = ["power_iterates", "power_method"]


class _Multiplies(Protocol):
    def __matmul__(self, v: Tensor, /) -> Tensor: ...


def power_iterates(operator: _Multiplies, v: Tensor, shift: float = 0.0) -> Iterator[tuple[Tensor, Tensor]]:
    """Unit iterates ``v`` (``(d,)``) and their products ``A v``, one product each; ends where the iteration hits zero.

    Args:
        operator: anything with ``operator @ v``: a :class:`SymmetricOperator`, or a matrix.
        v: first unit vector.
        shift: iterate ``v <- (A + shift) v / |(A + shift) v|``.

    Example:
        >>> import torch
        >>> matrix = torch.diag(torch.tensor([2.0, 1.0]))
        >>> steps = power_iterates(matrix, torch.tensor([0.6, 0.8]))
        >>> [round(float(v @ product), 3) for (v, product), _ in zip(steps, range(3))]
        [1.36, 1.692, 1.9]
    """
    while True:
        product = operator @ v
        yield v, product
        shifted = product + shift * v
        norm = torch.linalg.vector_norm(shifted, dtype=torch.float64).to(v.dtype)  # squares overflow float32 at 1e19
        if norm == 0:
            return
        v = shifted / norm


def power_method(
    operator: SymmetricOperator,
    iterations: int = 5,
    *,
    shift: float = 0.0,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """The eigenvalue of largest *magnitude*: ``v <- A v / |A v|`` (the paper, Algorithm 1).

    Convergence is geometric with ratio ``|lambda_2 / lambda_1|`` (in magnitude). It finds ``-3`` in ``diag(1, -3)``;
    a positive ``shift``, ``v <- (A + shift) v / |...|``, of at least ``|lambda_min|`` makes it find the largest one.

    Args:
        operator: ``A``.
        iterations: products to spend, at least 1 (paper: 5).
        shift: added to the spectrum during the iteration, removed from the value.
        tolerance: residual, relative to the value, for the converged flag.
        start: first vector, shape ``(d,)``; default random.
        seed: seed of the random start.

    Returns:
        One eigenpair: the vector *before* the last product, with its Rayleigh quotient and residual, so that no
        product is wasted on checking. No bound of the spectrum. From a given start, which may be orthogonal to
        the wanted eigenvector, it never counts as converged.

    Raises:
        InputError: fewer than one iteration, a tolerance that is not positive, a start of wrong shape, a product that
            is not finite.

    Reference:
        Luo et al., Explicit Eigenvalue Regularization Improves Sharpness-Aware Minimization, NeurIPS 2024, Algorithm 1.

    Example:
        >>> import torch
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> operator = DenseOperator(torch.diag(torch.tensor([1.0, -3.0], dtype=torch.float64)))
        >>> round(power_method(operator, 30).values.item(), 6)
        -3.0
        >>> round(power_method(operator, 60, shift=4.0).values.item(), 6)
        1.0
    """
    check_operator(operator)
    check_whole(iterations=iterations, seed=seed)
    if iterations < 1:
        raise InputError(f"iterations = {iterations}; the power method needs at least 1")
    if not tolerance > 0:
        raise InputError(f"tolerance = {tolerance} is not positive; give e.g. 1e-3")
    first = start_vector(operator, start, seed)
    steps = zip(range(1, iterations + 1), power_iterates(operator, first, shift), strict=False)
    before: tuple[Tensor, Tensor] | None = None
    for products, (v, product) in steps:  # noqa: B007 (the last ones count)
        check_scale(product)
        if before is not None:
            check_pair(operator, *before, v, product)
        before = v, product
    value = v.double() @ product.double()
    residual = (product - value.to(v.dtype) * v).double().norm()
    settled = bool(residual <= tolerance * abs(value))
    missing = "" if settled else "the residual is above the tolerance; allow more iterations"
    if settled and start is not None:
        missing = (
            "a given start may be orthogonal to the eigenvector of largest magnitude; leave it out, or use lanczos"
        )
    return Eigenpairs(
        value[None].cpu(),
        v[None],
        residual[None].cpu(),
        products,
        settled and start is None,
        checked=operator.checked,
        missing=missing,
    )
