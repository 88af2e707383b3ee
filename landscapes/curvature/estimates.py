"""A mean over independent random probes, with Student's interval."""

import math
from dataclasses import dataclass

from scipy.stats import t as student
from torch import Tensor

from ..errors import InputError

__all__ = ["Estimate", "check_confidence", "estimate_mean", "half_width"]


@dataclass(frozen=True)
class Estimate:
    """An estimate from random probes; NOT a certificate.

    The interval is Student's: it covers the truth with about the stated probability where the mean over probes is close
    to normal (many probes, no single eigenvalue that dominates), and makes no promise otherwise.

    Attributes:
        value: the estimate.
        lower: lower end of the interval.
        upper: upper end. Equal to ``lower`` where ``d`` products gave the exact value (up to rounding), or all probes
            agreed: of a diagonal matrix they must, of another one two or three may by chance.
        confidence: what the interval aims at, between 0 and 1.
        standard_error: of ``value``, over the probes.
        products: number of products with the operator that it rests on.
    """

    value: float
    lower: float
    upper: float
    confidence: float
    standard_error: float
    products: int


def check_confidence(confidence: float, probes: int) -> None:
    """Refuse a confidence outside (0, 1), and fewer probes than a standard error needs.

    Raises:
        InputError: either.
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence = {confidence} is not between 0 and 1; give e.g. 0.95")
    if probes < 2:
        raise InputError(f"{probes} probe(s) give no interval; it needs a spread over at least 2")


def half_width(samples: Tensor, confidence: float) -> Tensor:
    """Half the length of Student's interval for the mean over the first axis.

    Args:
        samples: independent draws, shape ``(n, ...)``, ``n >= 2``.
        confidence: between 0 and 1.

    Returns:
        ``t_{n-1, (1+confidence)/2} s / sqrt(n)``, of shape ``(...)``.

    Raises:
        InputError: ``confidence`` or ``n`` out of range.

    Example:
        >>> import torch
        >>> round(half_width(torch.tensor([0.0, 2.0], dtype=torch.float64), 0.5).item(), 12)
        1.0
    """
    count = len(samples)
    check_confidence(confidence, count)
    quantile = float(student.ppf((1 + confidence) / 2, count - 1))
    return quantile / math.sqrt(count) * samples.std(0)


def estimate_mean(samples: Tensor, confidence: float, products: int) -> Estimate:
    """The mean of independent draws of shape ``(n,)``, with Student's interval.

    Raises:
        InputError: ``confidence`` or ``n`` out of range.

    Example:
        >>> import torch
        >>> estimate = estimate_mean(torch.tensor([0.0, 2.0], dtype=torch.float64), 0.5, products=2)
        >>> estimate.value, round(estimate.standard_error, 12), round(estimate.upper, 12)
        (1.0, 1.0, 2.0)
    """
    value, half = samples.mean().item(), half_width(samples, confidence).item()
    error = samples.std().item() / math.sqrt(len(samples))
    return Estimate(value, value - half, value + half, confidence, error, products)
