"""Hutchinson's estimates of the trace and the Frobenius norm, by products with random vectors."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .estimates import Estimate, check_confidence, estimate_mean
from .operators import SymmetricOperator
from .probes import draw_signs, rows_at_a_time, working_dtype

__all__ = ["exact_sum", "form_values", "frobenius_norm", "hutchinson", "quadratic_form"]

Form = Callable[[Tensor, Tensor], Tensor]


def quadratic_form(z: Tensor, product: Tensor) -> Tensor:
    """``z^T A z`` of each row."""
    return (z * product).sum(-1)


def squared_length(z: Tensor, product: Tensor) -> Tensor:
    """``|A z|^2 = z^T A^2 z`` of each row."""
    widest = torch.float32 if product.device.type == "mps" else torch.float64
    norms: Tensor = torch.linalg.vector_norm(product, dim=-1, dtype=widest)  # squares overflow float32 at 1e19
    return norms.square()


def form_values(
    operator: SymmetricOperator,
    form: Form,
    draw: Callable[[int], Tensor],
    count: int,
    batch: int | None,
    callback: Callable[[int], object] | None,
    spent: int = 0,
) -> Tensor:
    """``form(z, A z)`` for ``z = draw(0), draw(1), ...``, one after another: shape ``(count,)``, float64 on the CPU."""
    together = rows_at_a_time(operator, batch)
    values = torch.empty(count, dtype=torch.float64)
    for first in range(0, count, together):
        last = min(first + together, count)
        z = torch.stack([draw(i) for i in range(first, last)])
        values[first:last] = form(z, operator @ z).cpu().double()
        if callback is not None:
            callback(spent + last)
    return values


def exact_sum(
    operator: SymmetricOperator,
    form: Form,
    confidence: float,
    batch: int | None,
    callback: Callable[[int], object] | None,
) -> Estimate:
    """The sum over all unit vectors, by ``d`` products: no dearer than the probes that were allowed."""

    def unit(i: int) -> Tensor:
        e = torch.zeros(operator.dim, dtype=working_dtype(operator), device=operator.device)
        e[i] = 1
        return e

    value = form_values(operator, form, unit, operator.dim, batch, callback).sum().item()
    return Estimate(value, value, value, confidence, 0.0, operator.dim)


def _sampled(
    operator: SymmetricOperator,
    form: Form,
    probes: int,
    seed: int,
    confidence: float,
    batch: int | None,
    callback: Callable[[int], object] | None,
) -> Estimate:
    check_confidence(confidence, probes)
    if probes >= operator.dim:
        return exact_sum(operator, form, confidence, batch, callback)
    generator = torch.Generator().manual_seed(seed)
    values = form_values(operator, form, lambda _: draw_signs(operator, generator), probes, batch, callback)
    return estimate_mean(values, confidence, probes)


def hutchinson(
    operator: SymmetricOperator,
    *,
    probes: int = 30,
    seed: int = 0,
    confidence: float = 0.95,
    batch: int | None = None,
    callback: Callable[[int], object] | None = None,
) -> Estimate:
    """Hutchinson's estimate of ``tr A``: the mean of ``z^T A z`` over Rademacher ``z``, with Student's interval.

    The variance of one term is ``2 sum_{i != j} A_ij^2``; a Gaussian probe would have ``2 |A|_F^2``.

    Args:
        operator: ``A``.
        probes: number of probes, at least 2 (default ours: Student's quantile is then close to the normal one). With
            ``probes >= d``, ``d`` products with unit vectors give the exact trace.
        seed: seed of the probes.
        confidence: what the interval aims at, between 0 and 1; an estimate, not a certificate.
        batch: vectors in one product (default: as many as fit into 64 MiB, at most 32); changes rounding only.
        callback: called after each batch with the number of products so far.

    Raises:
        InputError: ``probes``, ``confidence`` or ``batch`` out of range; a product that is not finite.

    Reference:
        Hutchinson 1989, "A stochastic estimator of the trace of the influence matrix".

    Example:
        >>> from eigensam.landscapes.curvature.operators import FunctionOperator
        >>> hutchinson(FunctionOperator(lambda v: 3 * v, 100)).value  # of a diagonal matrix every probe is exact
        300.0
    """
    return _sampled(operator, quadratic_form, probes, seed, confidence, batch, callback)


def frobenius_norm(
    operator: SymmetricOperator,
    *,
    probes: int = 30,
    seed: int = 0,
    confidence: float = 0.95,
    batch: int | None = None,
    callback: Callable[[int], object] | None = None,
) -> Estimate:
    """An estimate of ``|A|_F = (E |A z|^2)^(1/2)`` over Rademacher vectors ``z``, one product each.

    It is Hutchinson's estimate for ``A^2``: a Rademacher probe has variance ``2 sum_{i != j} (A^2)_ij^2``, a Gaussian
    one ``2 |A^2|_F^2``. The ends of Student's interval for ``|A|_F^2`` are mapped through the root (a negative one to
    0), the standard error by its derivative.

    Args and errors are those of ``hutchinson``; with ``probes >= d`` the norm is exact.

    Example:
        >>> from eigensam.landscapes.curvature.operators import FunctionOperator
        >>> frobenius_norm(FunctionOperator(lambda v: 3 * v, 100)).value
        30.0
    """
    square = _sampled(operator, squared_length, probes, seed, confidence, batch, callback)
    value = math.sqrt(square.value)
    error = square.standard_error / (2 * value) if value else 0.0
    lower, upper = math.sqrt(max(square.lower, 0.0)), math.sqrt(square.upper)
    return Estimate(value, lower, upper, confidence, error, square.products)
