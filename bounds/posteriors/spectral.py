"""A posterior that is narrow where the loss is curved."""

import math
from typing import SupportsFloat

from torch import Tensor

from ...ground.errors import InputError
from ..rounding.intervals import intervals, upper_end
from ..rounding.real import real_number
from .low_rank_posterior import LowRankPosterior
from .vectors import LARGEST, SMALLEST, real_vector

__all__ = ["spectral_kl", "spectral_posterior"]


def _checked(prior_variance: SupportsFloat, kappa: SupportsFloat) -> tuple[float, float]:
    variance, number = real_number("prior_variance", prior_variance, "up"), real_number("kappa", kappa, "up")
    if not SMALLEST**2 <= variance <= LARGEST**2:
        raise InputError(f"prior_variance = {prior_variance} is not positive and finite, or far from 1")
    if not 0 <= number <= LARGEST:
        raise InputError(f"kappa = {kappa} is not a finite number of at least 0; try the number of examples")
    return variance, number


def spectral_posterior(
    mean: Tensor, prior_variance: SupportsFloat, eigenvalues: Tensor, eigenvectors: Tensor, kappa: SupportsFloat
) -> LowRankPosterior:
    """The posterior that would be best if the loss were quadratic: ``sigma_i^2 = 1/(1/s^2 + kappa lambda_i)``.

    **The curvature designs this posterior; it certifies nothing.** It is a choice like any other, made by looking at
    data; what it is worth only its divergence and its Gibbs risk by Monte Carlo say. (On a SAM checkpoint the
    second-order form of its risk was 0.27 while the risk itself was 0.89: chance.) For the same reason
    the rounding of sigma does not matter: what is certified is the posterior that is returned.

    Negative eigenvalues count as 0: such a direction keeps the prior's variance, as all directions across do.

    Args:
        mean: ``(d,)``.
        prior_variance: ``s^2 > 0``, which is also the variance across the eigenvectors.
        eigenvalues: ``lambda_i``, ``(k,)``.
        eigenvectors: ``(k, d)``, orthonormal rows.
        kappa: ``>= 0``: weight of the loss against the divergence, e.g. the number of examples.

    Raises:
        InputError: variance, kappa or eigenvalues out of range, shapes that do not fit, rows not orthonormal.

    Reference:
        Yang, Mao, Chaudhari 2022, Does the Data Induce Capacity Control in Deep Learning?

    Example:
        >>> import torch
        >>> q = spectral_posterior(torch.zeros(2), 1.0, torch.tensor([3.0]), torch.tensor([[1.0, 0.0]]), 1.0)
        >>> q.sigma, q.sigmas.tolist()
        (1.0, [0.5])
    """
    variance, weight = _checked(prior_variance, kappa)
    values = real_vector("eigenvalues", eigenvalues).clamp(min=0)
    sigmas = (1 + weight * variance * values).rsqrt() * math.sqrt(variance)
    return LowRankPosterior(mean, math.sqrt(variance), eigenvectors, sigmas)


def spectral_kl(prior_variance: SupportsFloat, eigenvalues: Tensor, kappa: SupportsFloat) -> float:
    """Divergence of the spectral posterior from a prior with its own mean, in exact arithmetic; an upper value.

    With ``t_i = kappa s^2 max(lambda_i, 0)`` each eigenvector has ``sigma_i^2/s^2 = 1/(1 + t_i)``, and
    ``1/2 (r - 1 - ln r)`` of that is ``1/2 ln(1 + t_i) - 1/2 t_i/(1 + t_i)``; all other directions add nothing:

    ``KL = 1/2 sum_i ln(1 + t_i) - 1/2 N_eff``, ``N_eff = sum_i t_i/(1 + t_i)``, the effective dimension.

    What is below ``1/2 sum_i ln(1 + kappa s^2 lambda_i)``, the form often quoted, is half the effective dimension. A
    distance between the means adds ``|x - x0|^2/(2 s^2)``.
    Charge ``spectral_posterior(...).kl(prior)``, which knows the posterior as it is sampled.

    Args:
        prior_variance: ``s^2 > 0``.
        eigenvalues: ``lambda_i``, ``(k,)``.
        kappa: ``>= 0``.

    Raises:
        InputError: an argument out of range or not finite.

    Reference:
        Yang, Mao, Chaudhari 2022.

    Example:
        >>> import torch
        >>> round(spectral_kl(1.0, torch.tensor([3.0, -1.0]), 1.0), 6)  # ln 2 - 3/8
        0.318147
    """
    variance, weight = _checked(prior_variance, kappa)
    values = real_vector("eigenvalues", eigenvalues).clamp(min=0)
    iv = intervals()
    total = iv.real(0)
    for value in values.tolist():
        t = iv.real(weight) * iv.real(variance) * iv.real(value)
        total += iv.log(1 + t) - t / (1 + t)
    return max(0.0, upper_end(total / 2))
