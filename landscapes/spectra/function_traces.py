"""Estimates of ``tr f(A)`` by stochastic Lanczos quadrature."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from ...ground.errors import InputError
from .estimates import Estimate, check_confidence, estimate_mean, exact_value
from .operators import SymmetricOperator
from .quadrature import Quadrature
from .stochastic_quadrature import PROBES, as_quadrature

__all__ = ["effective_dimension", "trace_of_function"]


def trace_of_function(
    source: SymmetricOperator | Quadrature,
    function: Callable[[Tensor], Tensor],
    *,
    confidence: float = 0.95,
    probes: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    callback: Callable[[int], object] | None = None,
) -> Estimate:
    """An estimate of ``tr f(A) = sum_i f(lambda_i)``: the mean over probes of ``d sum_i weights_i f(nodes_i)``.

    Without error of the quadrature for polynomials of degree at most ``2 m - 1``, and small where such a polynomial is
    close to ``f`` on the whole spectrum; steps or kinks of ``f`` inside the spectrum call for more steps. The
    interval is that of the probes (:func:`half_width`), widened by an estimate of the quadrature's error from its rules
    of half as many steps and more (:meth:`Quadrature.error`), which is ``quadrature_error``. Where ``d``
    products are no more than were allowed, the value is exact (:func:`lanczos_quadrature`).

    Args:
        source: an operator, or its quadrature (at least 2 probes), which serves any number of functions.
        function: ``f``, entry by entry, on tensors of float64.
        confidence: what the interval aims at, between 0 and 1; an estimate, not a certificate.
        probes: of ``lanczos_quadrature``, for an operator only.
        steps: likewise.
        seed: likewise.
        callback: called after each product with the number of products so far.

    Raises:
        InputError: confidence outside (0, 1); fewer than 2 probes; values of the function that are not finite or of
            another shape; what ``lanczos_quadrature`` refuses.

    Reference:
        Ubaru, Chen, Saad 2017, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature".

    Example:
        >>> import torch
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> operator = DenseOperator(torch.diag(torch.arange(1.0, 21.0, dtype=torch.float64)))
        >>> round(trace_of_function(operator, torch.log).value, 6)  # log 20!, exact by 20 products
        42.335616
    """
    if not isinstance(source, Quadrature):  # before any product is paid for
        check_confidence(confidence, PROBES if probes is None else probes)
    quadrature = as_quadrature(source, probes, steps, seed, callback)
    quadrature.check_probes(confidence)
    means, deviations = quadrature.averages(quadrature.checked(function))
    dim = quadrature.dim
    if quadrature.exact:
        return exact_value(dim * means[0].item(), confidence, quadrature.products)
    error = quadrature.error(quadrature.checked(function)).item()
    return estimate_mean(dim * means, dim * deviations, confidence, quadrature.products, dim * error)


def effective_dimension(
    source: SymmetricOperator | Quadrature,
    c: float,
    *,
    confidence: float = 0.95,
    probes: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    callback: Callable[[int], object] | None = None,
) -> Estimate:
    """An estimate of ``sum_i lambda_i^+ / (lambda_i^+ + c)``: how many eigenvalues are large beside ``c``.

    The quadrature's own error is in the interval. Of an operator without negative eigenvalues (``semidefinite``) it is
    enclosed for each probe: even derivatives of ``t / (t + c)`` are negative and odd ones positive, so that the Gauss
    rule is an upper bound and the Gauss-Radau rule with a node at 0 a lower one; the value is halfway. Else, with a
    kink at 0, it is estimated as for :func:`trace_of_function`.

    Args:
        source: an operator, or its quadrature; negative eigenvalues count 0, ``lambda^+ = max(lambda, 0)``.
        c: positive, in the unit of eigenvalues; the smaller beside the largest of them, the more steps.
        confidence: what the interval aims at, between 0 and 1; an estimate, not a certificate.
        probes: of ``lanczos_quadrature``, for an operator only.
        steps: likewise.
        seed: likewise.
        callback: called after each product with the number of products so far.

    Raises:
        InputError: ``c`` not positive and finite; what ``trace_of_function`` refuses.

    Reference:
        MacKay 1992, "Bayesian interpolation", for the number of well-determined parameters.

    Example:
        >>> import torch
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> operator = DenseOperator(torch.diag(torch.tensor([1.0, 1.0, -5.0, 0.0], dtype=torch.float64)))
        >>> round(effective_dimension(operator, 1.0).value, 9)
        1.0
    """
    if not isinstance(c, int | float) or not 0 < c < float("inf"):
        raise InputError(f"c = {c} is not positive and finite; give the size below which eigenvalues do not count")

    def share(eigenvalues: Tensor) -> Tensor:
        positive = eigenvalues.clamp_min(0)
        return positive / (positive + c)

    if not isinstance(source, Quadrature):  # before any product is paid for
        check_confidence(confidence, PROBES if probes is None else probes)
    quadrature = as_quadrature(source, probes, steps, seed, callback)
    found = trace_of_function(quadrature, share, confidence=confidence)
    if quadrature.lower is not None:
        upper, lower = found.value, quadrature.lower.traces(share).mean().item()
        half, error = found.upper - found.value - found.quadrature_error, (upper - lower) / 2
        found = replace(found, value=lower + error, lower=lower - half, upper=upper + half, quadrature_error=error)
    most = float(quadrature.dim)  # known beforehand: between 0 and d
    lowest, highest = (min(max(end, 0.0), most) for end in (found.lower, found.upper))
    return replace(found, value=min(max(found.value, 0.0), most), lower=lowest, upper=highest)
