"""Escapes sharp minima by the gradient of one example, at a point along that gradient."""

from typing import final

import torch

from ..escaping import EscapingOptimizer
from ..passes import Passes
from ..vector import Vector
from .sam import unit_

__all__ = ["AwarePerturbation"]


@final
class AwarePerturbation(EscapingOptimizer):
    """``x+ = base step along g + v``, ``v`` the part of ``grad f_i(x + s rho g_i/|g_i|)`` across ``g`` (Ahn et al.).

    The sharpness-aware perturbation algorithm (Ahn, Jadbabaie and Sra, ICML 2024, Algorithm 2): ``f_i`` is one of the
    examples, ``g_i`` its gradient, ``s`` is 1 or -1 by chance, ``v = h - <h, g> g/|g|^2``, and this is done where
    ``|g| <= tolerance``; elsewhere the step is along ``far g``, in one pass.

    Called as ``step([closure, ...])``: ``g`` is the gradient of all closures' mean, and one of them, drawn anew in
    every step, is ``f_i``, for which there are two more passes. With one closure alone ``f_i`` is the minibatch that
    ``g`` is of, too; where ``g_i`` vanishes nothing is perturbed.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        tolerance: the largest norm of a gradient that is called one of a minimum, ``epsilon_0`` in the paper, which
            does not give a number; infinite (ours): every step is perturbed.
        far: ratio of the learning rates far from a minimum and near one, ``eta'/eta`` in the paper.
        seed: of the signs, and of which closure is taken.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Attributes:
        steps: taken so far.
        near: whether the last step was one near a minimum.

    Raises:
        InputError: ``rho < 0``; ``tolerance`` or ``far`` not above 0.

    Example:
        >>> import torch
        >>> from eigensam.optim import AwarePerturbation
        >>> x = torch.nn.Parameter(torch.tensor([0.3, 0.4], dtype=torch.float64))
        >>> optimizer = AwarePerturbation([x], rho=0.5, lr=0.1)
        >>> loss = optimizer.step(lambda: 0.5 * (x ** 2).sum())  # v = 0: the second gradient is along the first one
        >>> [round(each, 6) for each in x.tolist()]
        [0.27, 0.36]
    """

    def drawn(self, count: int) -> tuple[int, float]:
        """Which of so many closures the coming step takes, and its sign."""
        generator = self.generator()
        sign = 2.0 * float(torch.randint(2, (), generator=generator)) - 1.0
        return int(torch.randint(count, (), generator=generator)), sign

    def direction(self, g: Vector) -> Vector:
        """``s g / |g|``; zero where ``g`` is zero."""
        return unit_(g).mul_(self.drawn(1)[1])

    def perturbed_gradient(self, passes: Passes, g: Vector) -> Vector:
        """Of the closure that is drawn."""
        if len(passes.closures) == 1:
            return super().perturbed_gradient(passes, g)
        index, _ = self.drawn(len(passes.closures))
        own = passes.alone(index).select(self.perturbed())
        with torch.no_grad():
            shift = self.shift(self.direction(own))
        with self.shifted(shift):
            return passes.alone(index)
