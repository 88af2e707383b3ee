"""SAM without the norm."""

from typing import final

from ..two_pass import TwoPassOptimizer
from ..vector import Vector

__all__ = ["USAM"]


@final
class USAM(TwoPassOptimizer):
    """``x+ = base step with grad f_m(x + rho g)`` (Andriushchenko & Flammarion 2022; theory, section 1).

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: length of the perturbation for a gradient of length 1, at least 0.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``.

    Example:
        >>> import torch
        >>> from eigensam.optim import USAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = USAM([x], rho=0.25, lr=0.1)
        >>> loss = optimizer.step(lambda: (x ** 2).sum())
        >>> round(x.item(), 6)  # 1 - 0.1 * 2 * (1 + 0.25 * 2)
        0.7
    """

    def ascent(self, g: Vector) -> Vector:
        """``g`` itself."""
        return g
