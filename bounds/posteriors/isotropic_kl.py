"""KL divergence of isotropic Gaussians, rounded outward (theory, section 6)."""

import math
from typing import Any, SupportsFloat

from ...ground.errors import InputError
from ..rounding.arguments import check_dim
from ..rounding.intervals import Intervals, intervals, upper_end
from ..rounding.real import real_number

__all__ = ["gaussian_kl", "gaussian_kl_interval"]


def gaussian_kl_interval(iv: Intervals, dim: int, posterior_variance: Any, prior_variance: Any, distance: Any) -> Any:
    """An interval that holds the KL divergence for all numbers of the given intervals."""
    ratio = posterior_variance / prior_variance
    return (dim * (ratio - 1 - iv.log(ratio)) + distance / prior_variance) / 2


def gaussian_kl(
    dim: int, posterior_variance: SupportsFloat, prior_variance: SupportsFloat, squared_distance: SupportsFloat
) -> float:
    """KL divergence of two isotropic Gaussians, in nats: the least float that is not below it.

    ``KL(N(x, sigma^2 I) || N(x0, s^2 I)) = 1/2 [d (sigma^2/s^2 - 1 + ln(s^2/sigma^2)) + |x - x0|^2 / s^2]``

    Two floats that differ have ``|sigma^2/s^2 - 1| >= 2^-53``, so the bracket loses at most 107 bits to cancellation;
    it is evaluated with 256.

    Args:
        dim: ``d >= 1``.
        posterior_variance: ``sigma^2 > 0``.
        prior_variance: ``s^2 > 0``.
        squared_distance: ``|x - x0|^2 >= 0``.

    Raises:
        InputError: an argument out of range or not finite.

    Example:
        >>> gaussian_kl(10, 0.5, 0.5, 4.0)
        4.0
    """
    dim = check_dim(dim)
    v, s2 = (
        [real_number(name, value, "down"), real_number(name, value, "up")]
        for name, value in (("sigma^2", posterior_variance), ("s^2", prior_variance))
    )
    distance = real_number("squared distance", squared_distance, "up")
    if not (0 < v[0] <= v[1] < math.inf and 0 < s2[0] <= s2[1] < math.inf and 0 <= distance < math.inf):
        raise InputError(
            f"variances {posterior_variance}, {prior_variance}, squared distance {squared_distance}: "
            f"need positive variances and a distance of at least 0, all finite"
        )
    iv = intervals()
    return upper_end(gaussian_kl_interval(iv, dim, iv.hull(*v), iv.hull(*s2), iv.real(distance)))
