"""KL divergence of Gaussians with independent coordinates, rounded outward, for any number of coordinates."""

import math

import torch
from torch import Tensor

from .prior import GaussianPrior

__all__ = ["independent_kl"]

_CHUNK = 2**16  # fits the cache
_SPLIT = 2.0**27 + 1  # Veltkamp's
_COEFFICIENTS = [1 / (2 * k + 1) for k in range(1, 14)]
_SLACK = 1 + 2.0**-44


def independent_kl(mean: Tensor, sigmas: Tensor, prior: GaussianPrior) -> float:
    """Upper value of ``1/2 sum_j [r_j - 1 - ln r_j + (m_j - m0_j)^2 / p_j]``, ``r_j = sigma_j^2 / p_j``.

    Never below the sum in exact arithmetic, and above it by a relative ``2^-43`` at most. **Proof.** Let ``u = 2^-53``.
    Only sums, products, quotients and ``frexp`` are used, which IEEE 754 rounds correctly (no library's logarithm is
    believed), and the ranges of ``vectors.py`` keep them normal. First order in ``u``; the margins cover the rest.

    1. ``sigma^2 = h + l`` exactly (Dekker 1971). ``h - p`` is exact within a factor of 2 (Sterbenz), else right to
       ``u`` and not small beside ``l``; so ``x = ((h - p) + l)/p`` has relative error ``3 u`` as ``r - 1``.
    2. ``g(x) = x - ln(1 + x)`` for ``-0.29 <= x <= 0.41``: with ``s = x/(2 + x)``, ``|s| < 0.1716``,
       ``g = s^2 [(2 + x) - 2 s (1/3 + s^2/5 + s^4/7 + ...)]``, whose bracket is between 1.7 and 2.5. Its 13 terms leave
       out less than ``1e-20`` of it. The condition number ``x g'/g`` is below 2.3, so ``x`` costs ``7 u``,
       the evaluation (``s^2``: ``5 u``, bracket: ``4 u``, product) ``10 u``.
    3. Elsewhere ``r = h/p`` (``2 u``) ``= m 2^e``, ``|ln m| <= ln(2)/2``, and ``ln r = e ln 2 + 2 artanh t``,
       ``t = (m - 1)/(m + 1)`` with an exact numerator. ``artanh`` costs ``8 u``, the sum at most ``13 u |ln r|``,
       ``r`` another ``6 u |ln r|``, as ``|ln r| > 0.34``; there ``|x| <= 6.3 g`` and ``|ln r| <= 6.6 g``, hence
       ``x - ln r`` is right to ``(3 * 6.3 + 19 * 6.6 + 1) u < 150 u``.
    4. ``(m - m0)/p * (m - m0)`` has relative error ``4 u``, and where it underflows an absolute one below ``1e-200``.
    5. No term is negative, so adding them in pairs, ``2^16`` at a time, costs ``17 u``, and ``math.fsum`` one more.

    In all less than ``200 u``; ``512 u`` are added.

    Args:
        mean: ``(d,)``, float64.
        sigmas: ``(d,)`` or ``(1,)``, float64.
        prior: of the same dimension.

    Example:
        >>> import torch
        >>> m, s = torch.ones(2, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        >>> kl = independent_kl(m, s, GaussianPrior(torch.zeros(2), 1.0))
        >>> kl >= 1, round(kl, 12)
        (True, 1.0)
    """
    sums = []
    moved = False
    for start in range(0, len(mean), _CHUNK):
        here = slice(start, start + _CHUNK)
        difference = (mean[here].cpu() - prior.mean[here].cpu()).abs()
        variance = (prior.variance if len(prior.variance) == 1 else prior.variance[here]).cpu()
        sigma = (sigmas if len(sigmas) == 1 else sigmas[here]).cpu()
        moved = moved or bool(difference.any())
        sums.append(_sum_in_pairs(_spread_terms(sigma, variance) + difference / variance * difference))
    total = math.fsum(sums)
    underflow = len(mean) * 1e-200 if moved else 0.0
    if total == 0 and not moved:
        return 0.0
    return math.nextafter(total * _SLACK + underflow, math.inf) / 2  # halving is exact


def _spread_terms(sigma: Tensor, variance: Tensor) -> Tensor:
    """``r - 1 - ln r`` for ``r = sigma^2 / variance``."""
    square, rest = _square(sigma)
    x = ((square - variance) + rest) / variance
    near = (x >= -0.29) & (x <= 0.41)
    result = _near(torch.where(near, x, 0.0))
    if not bool(near.all()):
        result = torch.where(near, result, x - _logarithm(torch.where(near, 1.0, square / variance)))
    return result


def _square(sigma: Tensor) -> tuple[Tensor, Tensor]:
    """``sigma^2`` as a sum of two floats, without error (Dekker 1971)."""
    square = sigma * sigma
    big = sigma * _SPLIT
    high = big - (big - sigma)
    low = sigma - high
    return square, ((high * high - square) + (high * low) * 2) + low * low


def _series(y: Tensor) -> Tensor:
    """``1/3 + y/5 + y^2/7 + ...``."""
    result = torch.full_like(y, _COEFFICIENTS[-1])
    for coefficient in reversed(_COEFFICIENTS[:-1]):
        result.mul_(y).add_(coefficient)
    return result


def _near(x: Tensor) -> Tensor:
    """``x - ln(1 + x)`` for ``-0.29 <= x <= 0.41``."""
    bracket = x + 2
    s = x / bracket
    y = s * s
    return y * (bracket - s * _series(y) * 2)


def _logarithm(r: Tensor) -> Tensor:
    """``ln r`` from correctly rounded operations alone."""
    mantissa, exponent = torch.frexp(r)
    small = mantissa < math.sqrt(0.5)
    mantissa = torch.where(small, mantissa * 2, mantissa)
    exponent = exponent.to(torch.float64) - small.to(torch.float64)
    t = (mantissa - 1) / (mantissa + 1)
    y = t * t
    return exponent * math.log(2) + (t * (y * _series(y) + 1)) * 2


def _sum_in_pairs(terms: Tensor) -> float:
    size = 1 << (len(terms) - 1).bit_length()
    rest = torch.nn.functional.pad(terms, (0, size - len(terms)))
    while len(rest) > 1:
        half = len(rest) // 2
        rest = rest[:half] + rest[half:]
    return float(rest[0])
