"""Hutch++: a trace whose dominant part is exact and whose rest is estimated."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...ground.errors import InputError
from .estimates import Estimate, check_confidence, estimate_mean
from .operators import SymmetricOperator
from .probes import draw_normal, length, project_out, rows_at_a_time, working_dtype
from .request import check_operator, check_whole
from .traces import exact_trace, form_values

__all__ = ["hutch_plus_plus"]


def hutch_plus_plus(
    operator: SymmetricOperator,
    *,
    products: int = 90,
    seed: int = 0,
    confidence: float = 0.95,
    batch: int | None = None,
    callback: Callable[[int], object] | None = None,
) -> Estimate:
    """Hutch++: ``tr A = tr Q A Q^T + tr P A P``, the first term exactly, the second by Hutchinson, ``P = I - Q^T Q``.

    The rows of ``Q`` are an orthonormal basis of ``A S`` for ``k = products // 3`` Gaussian vectors ``S``; it holds
    what dominates a decaying spectrum, and for ``A >= 0`` the error falls as ``1 / products`` and not as its root. On a
    flat spectrum the sketch is lost and a third of the products are left for the second term: its standard error is up
    to ``3^(1/2)`` times that of ``hutchinson``.

    Probes of the second term are not those of the paper: Gaussian, projected by ``P`` and scaled to length
    ``(d - k)^(1/2)``, so uniform on a sphere of the complement. Then ``E w w^T = P`` as well, and the variance is that
    of ``P A P`` less its mean eigenvalue: none for a multiple of the identity. They are independent of ``Q``, so
    the interval for given ``Q`` (:func:`half_width`) serves the whole. If rank is exhausted, the samples, and so the
    interval, are at the level of rounding.

    Args:
        operator: ``A``.
        products: number of products allowed, at least 4: ``k`` for the sketch, ``k`` for the exact term, the rest for
            probes (default ours: as many probes as ``hutchinson`` has). With ``products >= d``, ``d`` products with
            unit vectors give the exact trace. Memory is ``k + 3`` vectors and two batches.
        seed: seed of sketch and probes.
        confidence: what the interval aims at, between 0 and 1; an estimate, not a certificate.
        batch: vectors in one product (default: as many as fit into 64 MiB, at most 32); changes rounding only.
        callback: called after each batch with the number of products so far.

    Raises:
        InputError: ``products``, ``confidence`` or ``batch`` out of range; a product that is not finite.

    Reference:
        Meyer, Musco, Musco, Woodruff 2021, "Hutch++: Optimal stochastic trace estimation", Algorithm 1; the sphere as
        in Epperly, Tropp, Webber 2024, "XTrace".

    Example:
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> spectrum = torch.cat([torch.tensor([100.0, 10.0]), torch.zeros(98)]).double()
        >>> estimate = hutch_plus_plus(DenseOperator(torch.diag(spectrum)), products=12)
        >>> round(estimate.value, 9), estimate.products
        (110.0, 10)
    """
    check_operator(operator)
    check_whole(products=products, seed=seed)
    if products < 4:
        raise InputError(f"products = {products} cannot be split; Hutch++ needs at least 4, one for a sketch, 2 probes")
    check_confidence(confidence, products)
    if products >= operator.dim:
        return exact_trace(operator, confidence, batch, callback)
    generator = torch.Generator().manual_seed(seed)
    sketch, together = products // 3, rows_at_a_time(operator, batch)
    q = torch.empty(sketch, operator.dim, dtype=working_dtype(operator), device=operator.device)
    rank, longest = 0, 0.0
    for first in range(0, sketch, together):
        last = min(first + together, sketch)
        s = torch.stack([draw_normal(operator, generator) for _ in range(first, last)])
        for vector, row in zip(s, operator @ s, strict=True):
            rest = project_out(q[:rank], row)
            new, longest = length(rest), max(longest, length(row) / length(vector))
            if new > 10 * torch.finfo(q.dtype).eps * length(row):  # else it has no direction of its own
                q[rank] = rest / new
                rank += 1
        if callback is not None:
            callback(last)
    q = q[:rank]
    inside = form_values(operator, lambda i: q[i], rank, batch, callback, sketch, longest=longest)[0].sum().item()

    def complement(_: int) -> Tensor:
        w = project_out(q, draw_normal(operator, generator))
        return w * (math.sqrt(operator.dim - rank) / length(w))

    probes = products - 2 * sketch
    forms, deviations = form_values(
        operator, complement, probes, batch, callback, sketch + rank, lambda product: project_out(q, product), longest
    )
    return estimate_mean(inside + forms, deviations, confidence, sketch + rank + probes)
