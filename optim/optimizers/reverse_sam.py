"""SAM that looks downhill."""

from typing import final

from ..two_pass import TwoPassOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["ReverseSAM"]


@final
class ReverseSAM(TwoPassOptimizer):
    """``x+ = base step with grad f_m(x - rho g / |g|)`` (the paper, appendix, Figure 5; theory, section 1).

    The second-order SDE says that it favours sharp minima by as much as SAM avoids them: a control.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``.

    Example:
        >>> import torch
        >>> from eigensam.optim import ReverseSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = ReverseSAM([x], rho=0.5, lr=0.1)
        >>> loss = optimizer.step(lambda: (x ** 2).sum())
        >>> round(x.item(), 6)  # 1 - 0.1 * 2 * (1 - 0.5)
        0.9
    """

    def ascent(self, g: Vector) -> Vector:
        """``-g / |g|``; zero where ``g`` is zero."""
        return unit_(g).mul_(-1.0)
