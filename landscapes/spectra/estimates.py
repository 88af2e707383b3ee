"""A mean over independent random probes, with an interval that knows each probe's own variance."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...ground.intervals import student_quantile

__all__ = [
    "Estimate",
    "check_confidence",
    "estimate_mean",
    "exact_value",
    "half_width",
    "standard_error",
]


@dataclass(frozen=True)
class Estimate:
    """An estimate from random probes; NOT a certificate.

    The interval covers the truth with at least about the stated probability (measured, for any number of probes from 2
    on: spectra of one, two and ten outliers, decaying, flat and indefinite ones; see :func:`half_width`).

    Attributes:
        value: the estimate.
        lower: lower end of the interval.
        upper: upper end. Equal to ``lower`` where ``d`` products gave the exact value (up to rounding).
        confidence: what the interval aims at, between 0 and 1.
        standard_error: of ``value``, over the probes.
        products: number of products with the operator that it rests on.
        quadrature_error: what the interval allows for an error that is the same for all probes: of a quadrature, bounds
            or an estimate, as the function says.
    """

    value: float
    lower: float
    upper: float
    confidence: float
    standard_error: float
    products: int
    quadrature_error: float = 0.0

    def __repr__(self) -> str:
        interval = f"[{self.lower:.6g}, {self.upper:.6g}] at {100 * self.confidence:g} %"
        return f"{self.value:.6g}, estimate in {interval}, {self.products} products"

    def to_dict(self) -> dict[str, float]:
        """All numbers, as JSON."""
        return asdict(self)


def check_confidence(confidence: float, probes: int) -> None:
    """Refuse a confidence outside (0, 1), and fewer probes than a standard error needs.

    Raises:
        InputError: either.
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence = {confidence} is not between 0 and 1; give e.g. 0.95")
    if probes < 2:
        raise InputError(f"{probes} probe(s) give no interval; it needs a spread over at least 2")


def half_width(deviations: Tensor, confidence: float) -> Tensor:
    """Half the length of the interval for a mean of ``z^T A z`` over probes: ``t_{n-1, (1+confidence)/2} s / sqrt(n)``.

    For ``z`` uniform on the sphere of radius ``d^(1/2)``, ``2 (|A z|^2 - (z^T A z)^2 / d)`` has the variance of
    ``z^T A z`` as its mean: each probe estimates it alone, and ``s^2`` is the mean over probes. The spread of the
    values themselves, Student's ``s``, is small by chance far more often where one eigenvalue carries the variance:
    ``z^T A z`` is then near ``lambda`` times a chi-squared number, and intervals at 95 % from 3, 10 and 30 probes cover
    in 79, 86 and 93 %. With this ``s`` they cover in 98, 95 and 95 %, and more where the spectrum is flat.

    Args:
        deviations: the root of each probe's own variance, shape ``(n, ...)``, ``n >= 2``.
        confidence: between 0 and 1.

    Returns:
        Half widths, of shape ``(...)``.

    Raises:
        InputError: ``confidence`` or ``n`` out of range.

    Example:
        >>> import torch
        >>> round(half_width(torch.tensor([1.0, 1.0], dtype=torch.float64), 0.5).item(), 12)
        0.707106781187
    """
    count = len(deviations)
    check_confidence(confidence, count)
    return student_quantile(count, confidence) * standard_error(deviations)


def standard_error(deviations: Tensor) -> Tensor:
    """``s / sqrt(n)``, of shape ``(...)``."""
    largest = deviations.amax(0)  # squares may leave the range of numbers
    relative = deviations / torch.where(largest > 0, largest, 1.0)
    error: Tensor = largest * relative.square().mean(0).sqrt() / math.sqrt(len(deviations))
    return error


def estimate_mean(
    samples: Tensor, deviations: Tensor, confidence: float, products: int, quadrature_error: float = 0.0
) -> Estimate:
    """The mean of independent draws of shape ``(n,)``, with the interval of :func:`half_width`.

    Raises:
        InputError: ``confidence`` or ``n`` out of range.

    Example:
        >>> import torch
        >>> draws, own = torch.tensor([0.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 1.0], dtype=torch.float64)
        >>> estimate = estimate_mean(draws, own, 0.5, products=2)
        >>> estimate.value, round(estimate.standard_error, 6), round(estimate.upper, 6)
        (1.0, 0.707107, 1.707107)
    """
    value = samples.mean().item()
    half = half_width(deviations, confidence).item() + quadrature_error
    error = standard_error(deviations).item()
    return Estimate(value, value - half, value + half, confidence, error, products, quadrature_error)


def exact_value(value: float, confidence: float, products: int) -> Estimate:
    """A number that is not sampled: an interval without length, up to rounding."""
    return Estimate(value, value, value, confidence, 0.0, products)
