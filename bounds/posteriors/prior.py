"""The Gaussian that a posterior is compared with."""

from typing import SupportsFloat

from torch import Tensor

from .vectors import positive_vector, real_vector

__all__ = ["GaussianPrior"]


class GaussianPrior:
    """``P = N(mean, diag(variance))``, of the float64 numbers that are stored: no rounding stands between it and ``P``.

    A layerwise prior is a vector of variances made of blocks:
    ``torch.tensor(variances).repeat_interleave(torch.tensor(sizes))``.

    Args:
        mean: ``(d,)``; numbers of a smaller precision are taken exactly.
        variance: one number or ``(d,)``, in [1e-140, 1e140]. A number that no float holds (a ``Fraction``) becomes the
            next one above, which then *is* the prior's.

    Attributes:
        mean: ``(d,)``, float64.
        variance: ``(d,)`` or ``(1,)``, float64.

    Raises:
        InputError: a variance that is not positive and finite, shapes that do not fit, numbers that are not finite.

    Example:
        >>> import torch
        >>> GaussianPrior(torch.zeros(3), 0.25)
        GaussianPrior(dim=3, variance=0.25)
    """

    def __init__(self, mean: Tensor, variance: SupportsFloat | Tensor) -> None:
        self.mean = real_vector("the prior's mean", mean)
        self.variance = positive_vector("the prior's variance", variance, self.dim, power=2).to(self.mean.device)

    @property
    def dim(self) -> int:
        """Number of parameters ``d``."""
        return len(self.mean)

    def __repr__(self) -> str:
        low, high = self.variance.min().item(), self.variance.max().item()
        return f"GaussianPrior(dim={self.dim}, variance={f'{low:g}' if low == high else f'{low:g} to {high:g}'})"
