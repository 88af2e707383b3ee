"""A standard deviation for each layer."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from ...ground.errors import InputError
from .independent_posterior import IndependentPosterior
from .vectors import positive_vector, real_vector

__all__ = ["LayerwisePosterior"]


@final
class LayerwisePosterior(IndependentPosterior):
    """``Q = N(mean, diag(sigmas^2))`` with one sigma for each block of consecutive parameters.

    Args:
        mean: ``(d,)``.
        sigmas: standard deviations, one per block, in [1e-70, 1e70].
        sizes: numbers of parameters of the blocks; they add up to ``d``, e.g.
            ``[parameter.numel() for parameter in model.parameters()]``.

    Raises:
        InputError: a sigma that is not positive and finite; sizes that are not positive or do not fit.

    Example:
        >>> import torch
        >>> LayerwisePosterior(torch.zeros(3), torch.tensor([0.5, 0.25]), [2, 1]).sigmas.tolist()
        [0.5, 0.5, 0.25]
    """

    def __init__(self, mean: Tensor, sigmas: Tensor, sizes: Sequence[int]) -> None:
        super().__init__(mean)
        if not all(isinstance(size, int) and size >= 1 for size in sizes) or sum(sizes) != self.dim:
            raise InputError(f"sizes = {list(sizes)} are not positive whole numbers that add up to {self.dim}")
        blocks = real_vector("sigmas", sigmas, len(sizes)).repeat_interleave(torch.tensor(sizes, device=sigmas.device))
        self.sigmas = positive_vector("sigmas", blocks, self.dim).to(self.mean.device)
