"""Both ends of the spectrum, with a stated probability, from the Ritz values of a random start (a-priori bound)."""

import math

from scipy.special import betaincinv, gammaln

from ...ground.errors import InputError
from .spectrum_bound import SpectrumBound

__all__ = ["chebyshev_bound", "least_overlap"]


_TINY = 1e-100


def least_overlap(dim: int, probability: float) -> float:
    """The ``c`` with ``P(|<b, v>| < c) = probability`` for ``b`` uniform on the sphere and any fixed unit ``v``.

    ``<b, v>^2`` is Beta(1/2, (d-1)/2) distributed.

    Example:
        On the circle the angle is uniform:

        >>> import math
        >>> math.isclose(least_overlap(2, 0.1), math.sin(0.1 * math.pi / 2))
        True
    """
    if dim == 1:
        return 1.0
    if probability < _TINY:  # the quantile underflows; the density is highest at 0, which bounds it from below
        return probability * math.exp(gammaln((dim - 1) / 2) - gammaln(dim / 2)) * math.sqrt(math.pi) / 2
    return math.sqrt(betaincinv(0.5, (dim - 1) / 2, probability))


def chebyshev_bound(
    smallest_ritz: float,
    largest_ritz: float,
    dim: int,
    krylov_dimension: int,
    delta: float,
    *,
    semidefinite: bool = False,
) -> SpectrumBound:
    """An interval that holds the spectrum with probability ``1 - delta`` over the start vector, in exact arithmetic.

    Let ``b`` be uniform on the sphere, ``xi`` and ``eta`` the largest and smallest Ritz value of ``A`` on
    ``span{b, Ab, ..., A^(k-1) b}``, ``s = lambda_1 - lambda_n`` and ``c = |<b, v_1>|``.

    *Claim*: ``lambda_1 - xi > eps s`` only if ``c < 1 / cosh((2k-1) artanh(sqrt(eps)))``.

    *Proof*: scale the spectrum to ``[0, 1]``. For every polynomial ``p`` of degree ``k-1``, ``xi`` is at least the
    Rayleigh quotient of ``p(A) b``, so ``xi < 1 - eps`` gives ``sum_i c_i^2 (1-eps-lambda_i) p(lambda_i)^2 > 0``.
    Take ``p(t) = sin((k-1/2) a) / sin(a/2)`` with ``cos(a) = 2t/(1-eps) - 1``, a polynomial of degree ``k-1``
    (Chebyshev, fourth kind). On ``[0, 1-eps]``, ``(1-eps-t) p(t)^2 = (1-eps) sin((k-1/2) a)^2 <= 1-eps``; between
    ``1-eps`` and 1 the left side is not positive; at 1, ``a`` is imaginary, ``a = i phi`` with
    ``tanh(phi/2) = sqrt(eps)``, and ``eps p(1)^2 = (1-eps) sinh((k-1/2) phi)^2``. Hence
    ``c^2 sinh((k-1/2) phi)^2 < 1 - c^2``, which is the claim.

    The event ``c < c_q`` has probability ``q`` (:func:`least_overlap`), whatever ``k``: the bound holds for all ``k``
    at once, so a stopping rule that looks at the Ritz values does not spoil it. With ``c_q`` in place of ``c``,
    ``eps = tanh(arcosh(1/c_q) / (2k-1))^2``. (Kuczynski & Wozniakowski's ``1.648 sqrt(n) exp(-(2k-1) sqrt(eps))`` in
    place of the probability of this event is weaker.) The same for ``-A`` and ``q = delta/2`` at each end give
    ``s <= xi - eta + 2 eps s``, hence the interval ``[eta - eps s, xi + eps s]`` with ``s = (xi - eta) / (1 - 2 eps)``,
    infinite where ``eps >= 1/2``.

    Where all eigenvalues are known to be at least 0, 0 takes the place of ``lambda_n`` in the proof and ``lambda_1``
    that of ``s``: one event, ``q = delta``, and ``lambda_1 <= xi / (1 - eps)``. The lower end is then 0, which holds
    for certain; a better one would need its share of ``delta``.

    Where ``k >= d`` the Krylov space holds, with probability 1, a vector of every eigenspace: ``[eta, xi]``. So it does
    where it closes earlier.

    Args:
        smallest_ritz: ``eta``.
        largest_ritz: ``xi``.
        dim: ``d``.
        krylov_dimension: ``k``, the number of products, without restart.
        delta: probability of failure, in (0, 1).
        semidefinite: whether ``lambda_n >= 0`` is known.

    Raises:
        InputError: a number out of its range.

    Reference:
        Kuczynski & Wozniakowski, Estimating the largest eigenvalue by the power and Lanczos algorithms with a random
        start, SIAM J. Matrix Anal. Appl. 13 (1992): the probability that Lanczos fails, here
        with a sharper constant.

    Example:
        >>> bound = chebyshev_bound(-0.1, 1.0, dim=100_000, krylov_dimension=40, delta=0.05)
        >>> round(bound.lower, 3), round(bound.upper, 3)
        (-0.118, 1.018)
    """
    if dim < 1 or krylov_dimension < 1:
        raise InputError(f"dim = {dim} and krylov_dimension = {krylov_dimension}; both must be at least 1")
    if not 0 < delta < 1:
        raise InputError(f"delta = {delta} is not a probability of failure; expected 0 < delta < 1")
    if not smallest_ritz <= largest_ritz:  # also where one is NaN
        raise InputError(
            f"smallest_ritz = {smallest_ritz} and largest_ritz = {largest_ritz}; expected them in this order"
        )
    angle = 0.0 if krylov_dimension >= dim else _angle(dim, krylov_dimension, delta if semidefinite else delta / 2)
    if semidefinite:
        return SpectrumBound(0.0, max(0.0, largest_ritz) * math.cosh(angle) ** 2, delta)  # 1 - eps = 1 / cosh^2
    eps = math.tanh(angle) ** 2
    if eps >= 0.5:
        return SpectrumBound(-math.inf, math.inf, delta)
    margin = eps * (largest_ritz - smallest_ritz) / (1 - 2 * eps)
    return SpectrumBound(smallest_ritz - margin, largest_ritz + margin, delta)


def _angle(dim: int, k: int, q: float) -> float:
    """``artanh(sqrt(eps))``."""
    return math.acosh(1 / least_overlap(dim, q)) / (2 * k - 1)
