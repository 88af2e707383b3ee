"""m-sharpness: every micro-batch has a perturbation of its own."""

from typing import final

import torch
from torch import Tensor

from ..passes import Passes, deliver
from ..sharpness_aware import SharpnessAwareOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["MSAM"]


@final
class MSAM(SharpnessAwareOptimizer):
    """Base step along the mean of ``grad f_i(x + rho g_i / |g_i|)`` over micro-batches ``i`` of the minibatch.

    SAM of m-sharpness (Foret et al. 2021; Andriushchenko & Flammarion 2022; Behdin et al. 2023), as it arises where
    many workers perturb each for itself. Called as ``step([closure, ...])``, one closure for each micro-batch, whose
    losses' mean is the minibatch's; SAM itself perturbs once for all closures. One closure alone is one micro-batch,
    which is SAM by definition, not a mistake: the last minibatch of an epoch may be too small to be split.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``; gradients that were made before ``step``, where there are several closures.

    Example:
        >>> import torch
        >>> from eigensam.optim import MSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = MSAM([x], rho=0.5, lr=0.1)
        >>> loss = optimizer.step([lambda: (x ** 2).sum(), lambda: ((x - 2) ** 2).sum()])
        >>> loss.item(), x.item()  # perturbed to 1.5 and to 0.5, where the gradients are 3 and -3
        (1.0, 1.0)
    """

    def make_gradient(self, passes: Passes) -> Tensor:
        """Two passes of each micro-batch; one, if no parameter is to be perturbed."""
        perturbed = self.perturbed()
        losses: list[Tensor] = []
        total: Vector | None = None
        for part in passes.parts():
            loss, g = part.gradient()
            losses.append(loss)
            if any(perturbed):
                with torch.no_grad():
                    shift = self.shift(unit_(g.select(perturbed)))
                with self.shifted(shift):
                    _, g = part.gradient()
            total = g.clone() if total is None else total.add_(g)
        assert total is not None
        deliver(total.mul_(1 / len(losses)), passes.parameters, passes.signs)
        return torch.stack(losses).mean()
