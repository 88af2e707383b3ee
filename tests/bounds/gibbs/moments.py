"""Whether draws have the means and covariances they should have."""

import torch
from torch import Tensor

STANDARD_ERRORS = 5
"""Fixed in advance, as are the seeds: with a thousand entries in all a false alarm has probability below 1e-3."""


def same_mean(samples: Tensor, truth: Tensor) -> bool:
    """Each column of ``(draws, k)`` has that mean, within 5 standard errors."""
    error = samples.std(0) / len(samples) ** 0.5
    return bool(((samples.mean(0) - truth).abs() <= STANDARD_ERRORS * error).all())


def same_covariance(samples: Tensor, mean: Tensor, truth: Tensor) -> bool:
    """Each entry of the covariance of ``(draws, k)`` around a known mean, within 5 standard errors."""
    centred = samples - mean
    products = (centred[:, :, None] * centred[:, None, :]).flatten(1)
    return same_mean(products, truth.flatten())


def same_two_moments(samples: Tensor, others: Tensor) -> bool:
    """Means and second moments of two sets of draws agree, each within 5 standard errors of the difference."""

    def moments(x: Tensor) -> Tensor:
        centred = x - others.mean(0)
        return torch.cat([x, (centred[:, :, None] * centred[:, None, :]).flatten(1)], 1)

    first, second = moments(samples), moments(others)
    error = (first.var(0) / len(first) + second.var(0) / len(second)).sqrt()
    return bool(((first.mean(0) - second.mean(0)).abs() <= STANDARD_ERRORS * error).all())
