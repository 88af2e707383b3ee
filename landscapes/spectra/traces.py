"""Hutchinson's estimates of the trace and the Frobenius norm, by products with random vectors."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .estimates import Estimate, check_confidence, estimate_mean, exact_value
from .operators import SymmetricOperator
from .probes import check_pair, coefficients, draw_sphere, length, rows_at_a_time, subtract, working_dtype
from .request import check_operator, check_whole

__all__ = ["exact_trace", "form_values", "frobenius_norm", "hutchinson", "unit_vector"]

Draw = Callable[[int], Tensor]
Callback = Callable[[int], object] | None


def form_values(
    operator: SymmetricOperator,
    draw: Draw,
    count: int,
    batch: int | None,
    callback: Callback,
    spent: int = 0,
    after: Callable[[Tensor], Tensor] = lambda product: product,
    longest: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """``z^T A z`` for ``z = draw(0), draw(1), ...``, and ``2^(1/2)`` times what ``A z`` has orthogonal to ``z``.

    Each of shape ``(count,)``, float64 on the CPU; the second is each probe's own standard deviation
    (:func:`half_width`). ``after`` is applied to each product ``A z``; ``longest`` is that of :func:`check_pair`.
    """
    together = rows_at_a_time(operator, batch)
    forms, deviations = torch.empty(count, dtype=torch.float64), torch.empty(count, dtype=torch.float64)
    for first in range(0, count, together):
        last = min(first + together, count)
        z = torch.stack([draw(i) for i in range(first, last)])
        products = operator @ z
        check_neighbours(operator, z, products, longest)
        for i, (row, product) in enumerate(zip(z, products, strict=True), first):
            forms[i], rest = split_form(row, after(product))
            deviations[i] = math.sqrt(2) * rest
        if callback is not None:
            callback(spent + last)
    return forms, deviations


def check_neighbours(operator: SymmetricOperator, z: Tensor, products: Tensor, longest: float = 0.0) -> None:
    """Symmetry of each row and the next one, which were multiplied anyway."""
    longest = max([longest, *(length(product) / length(row) for row, product in zip(z, products, strict=True))])
    for i in range(len(z) - 1):
        check_pair(operator, z[i], products[i], z[i + 1], products[i + 1], longest)


def split_form(z: Tensor, product: Tensor) -> tuple[float, float]:
    """``z^T A z`` and the length of the part of ``A z`` orthogonal to ``z``."""
    norm, unit = length(product), length(z)
    if not norm:
        return 0.0, 0.0
    product, z = product / norm, z / unit  # squares may leave the range of numbers
    along = coefficients(z[None], product)
    return norm * unit * along.item(), norm * length(subtract(z[None], product, along))


def unit_vector(operator: SymmetricOperator, i: int) -> Tensor:
    """``e_i``, shape ``(d,)``."""
    e = torch.zeros(operator.dim, dtype=working_dtype(operator), device=operator.device)
    e[i] = 1
    return e


def exact_trace(operator: SymmetricOperator, confidence: float, batch: int | None, callback: Callback) -> Estimate:
    """The sum over all unit vectors, by ``d`` products: no dearer than the probes that were allowed."""
    forms, _ = form_values(operator, lambda i: unit_vector(operator, i), operator.dim, batch, callback)
    return exact_value(forms.sum().item(), confidence, operator.dim)


def hutchinson(
    operator: SymmetricOperator,
    *,
    probes: int = 30,
    seed: int = 0,
    confidence: float = 0.95,
    batch: int | None = None,
    callback: Callback = None,
) -> Estimate:
    """Hutchinson's estimate of ``tr A``: a mean of ``z^T A z``, ``z`` uniform on the sphere of radius ``d^(1/2)``.

    The variance of one term is ``2 d/(d+2) |A - (tr A / d) I|_F^2``; each probe estimates it without a further product
    (:func:`half_width`).

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
        Hutchinson 1989, "A stochastic estimator of the trace of the influence matrix"; the sphere as in Epperly, Tropp,
        Webber 2024, "XTrace".

    Example:
        >>> from eigensam.landscapes.spectra.operators import FunctionOperator
        >>> round(hutchinson(FunctionOperator(lambda v: 3 * v, 100)).value, 9)  # of a multiple of I each probe is exact
        300.0
    """
    check_operator(operator)
    check_whole(probes=probes, seed=seed)
    check_confidence(confidence, probes)
    if probes >= operator.dim:
        return exact_trace(operator, confidence, batch, callback)
    generator = torch.Generator().manual_seed(seed)
    forms, deviations = form_values(operator, lambda _: draw_sphere(operator, generator), probes, batch, callback)
    return estimate_mean(forms, deviations, confidence, probes)


def frobenius_norm(
    operator: SymmetricOperator,
    *,
    probes: int = 15,
    seed: int = 0,
    confidence: float = 0.95,
    batch: int | None = None,
    callback: Callback = None,
) -> Estimate:
    """An estimate of ``|A|_F = (E |A z|^2)^(1/2)`` over ``z`` as of :func:`hutchinson`, two products each.

    It is Hutchinson's estimate for ``A^2``: ``A z`` gives the value ``z^T A^2 z``, and ``A (A z)`` its variance. (One
    product each and the spread of values in place of the second: intervals at 95 % then cover in 79 to 93 %, where one
    eigenvalue dominates.) The ends of the interval for ``|A|_F^2`` are mapped through the root (a negative one to 0),
    the standard error by its derivative.

    Args and errors are those of ``hutchinson``; with ``2 probes >= d`` the norm is exact, by ``d`` products.

    Example:
        >>> from eigensam.landscapes.spectra.operators import FunctionOperator
        >>> round(frobenius_norm(FunctionOperator(lambda v: 3 * v, 100)).value, 9)
        30.0
    """
    check_operator(operator)
    check_whole(probes=probes, seed=seed)
    check_confidence(confidence, probes)
    dim = operator.dim
    if 2 * probes >= dim:
        lengths = torch.empty(dim, dtype=torch.float64)
        for i in range(dim):
            lengths[i] = length(operator @ unit_vector(operator, i))
            if callback is not None:
                callback(i + 1)
        return exact_value(length(lengths), confidence, dim)
    generator = torch.Generator().manual_seed(seed)
    lengths, rests = torch.empty(probes, dtype=torch.float64), torch.zeros(probes, dtype=torch.float64)
    together = rows_at_a_time(operator, batch)
    for first in range(0, probes, together):
        last = min(first + together, probes)
        z = torch.stack([draw_sphere(operator, generator) for _ in range(first, last)])
        products = operator @ z
        check_neighbours(operator, z, products)
        if callback is not None:
            callback(first + last)
        lengths[first:last] = torch.tensor([length(row) for row in products], dtype=torch.float64)
        units = torch.stack([row / (length(row) or 1.0) for row in products])
        rests[first:last] = torch.tensor(
            [split_form(*pair)[1] for pair in zip(z, operator @ units, strict=True)], dtype=torch.float64
        )
        if callback is not None:
            callback(2 * last)
    unit = lengths.max().item()  # squares may leave the range of numbers
    if unit == 0:
        return Estimate(0.0, 0.0, 0.0, confidence, 0.0, 2 * probes)
    relative, deviations = lengths / unit, math.sqrt(2) * (lengths / unit) * (rests / unit)
    square = estimate_mean(relative.square(), deviations, confidence, 2 * probes)
    value = unit * math.sqrt(square.value)
    lower, upper = unit * math.sqrt(max(square.lower, 0.0)), unit * math.sqrt(square.upper)
    error = unit * square.standard_error / (2 * math.sqrt(square.value))
    return Estimate(value, lower, upper, confidence, error, 2 * probes)
