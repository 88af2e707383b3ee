"""Sharpness-Aware Minimization around any torch optimizer."""

from typing import final

from torch import Tensor

from .two_pass import TwoPassOptimizer, unit

__all__ = ["SAM"]


@final
class SAM(TwoPassOptimizer):
    """``x+ = base step with grad f_m(x + rho u)``, ``u = g / |g|`` (Foret et al. 2021; theory, section 1).

    Args:
        params: parameters or parameter groups, on one device; every group may have its own ``rho``.
        base: optimizer that takes the step; default SGD.
        rho: perturbation radius, positive (Foret et al.: 0.05).
        **base_arguments: for ``base``, e.g. ``lr=0.1, momentum=0.9``.

    Raises:
        InputError: ``rho <= 0``; a closure that does not return a differentiable loss.

    Example:
        >>> import torch
        >>> from eigensam.optim import SAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = SAM([x], rho=0.5, lr=0.1)
        >>> loss = optimizer.step(lambda: (x ** 2).sum())
        >>> round(x.item(), 6)  # 1 - 0.1 * 2 * (1 + 0.5)
        0.7
    """

    def perturbation(self, g: Tensor) -> Tensor:
        """``g / |g|``, shape ``(..., d)`` to the same shape; zero where ``g`` is zero."""
        return unit(g)
