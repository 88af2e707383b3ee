"""Sharpness-Aware Minimization around any torch optimizer."""

from typing import final

from ..two_pass import TwoPassOptimizer
from ..vector import Vector

__all__ = ["SAM", "unit_"]


def unit_(g: Vector) -> Vector:
    """``g / |g|`` in place; zero where ``g`` is zero.

    Example:
        >>> import torch
        >>> unit_(Vector([torch.tensor([3.0]), torch.tensor([4.0])])).flat().tolist()
        [0.6000000238418579, 0.800000011920929]
    """
    norm = g.norm()
    return g.mul_(1 / norm) if norm > 0 else g


@final
class SAM(TwoPassOptimizer):
    """``x+ = base step with grad f_m(x + rho u)``, ``u = g / |g|`` (Foret et al. 2021; theory, section 1).

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0 (Foret et al.: 0.05).
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``; a closure that does not return a differentiable loss.

    Example:
        >>> import torch
        >>> from eigensam.optim import SAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = SAM([x], rho=0.5, lr=0.1)
        >>> loss = optimizer.step(lambda: (x ** 2).sum())
        >>> round(x.item(), 6)  # 1 - 0.1 * 2 * (1 + 0.5)
        0.7
    """

    def ascent(self, g: Vector) -> Vector:
        """``g / |g|``; zero where ``g`` is zero."""
        return unit_(g)
