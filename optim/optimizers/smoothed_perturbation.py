"""Escapes sharp minima by the gradient at a random point nearby."""

from typing import final

from ..escaping import EscapingOptimizer
from ..noise import gaussian
from ..vector import Vector
from .sam import unit_

__all__ = ["SmoothedPerturbation"]


@final
class SmoothedPerturbation(EscapingOptimizer):
    """``x+ = base step along g + v``, ``v`` the part of ``grad f_m(x + rho z/|z|)`` across ``g`` (Ahn et al. 2024).

    The randomly smoothed perturbation algorithm (Ahn, Jadbabaie and Sra, ICML 2024, Algorithm 1): ``z`` is Gaussian
    and new in every step, ``v = h - <h, g> g/|g|^2``, and this is done where ``|g| <= tolerance``; elsewhere the step
    is along ``far g``, in one pass. Along a valley of minima ``v`` is, on average and to second order in ``rho``,
    ``rho^2/(2 d)`` times the gradient of the Hessian's trace, for ``d`` parameters. ``g`` is the gradient of the
    minibatch here, which the paper's algorithm takes of the whole loss. Parameters of a group with ``rho = 0`` step
    along ``g``.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        tolerance: the largest norm of a gradient that is called one of a minimum, ``epsilon_0`` in the paper, which
            does not give a number; infinite (ours): every step is perturbed.
        far: ratio of the learning rates far from a minimum and near one, ``eta'/eta`` in the paper.
        seed: of the perturbations.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Attributes:
        steps: taken so far.
        near: whether the last step was one near a minimum.

    Raises:
        InputError: ``rho < 0``; ``tolerance`` or ``far`` not above 0.

    Example:
        >>> import torch
        >>> from eigensam.optim import SmoothedPerturbation
        >>> x = torch.nn.Parameter(torch.tensor([3.0, 0.0]))
        >>> optimizer = SmoothedPerturbation([x], rho=0.5, tolerance=1.0, lr=0.1)
        >>> loss = optimizer.step(lambda: 0.5 * (x ** 2).sum())  # |g| = 3: a plain step
        >>> optimizer.near, [round(each, 6) for each in x.tolist()]
        (False, [2.7, 0.0])
    """

    def _noise(self) -> Vector:
        """Of the coming step, over the perturbed parameters."""
        return gaussian(self.moving(), self.generator())

    def direction(self, g: Vector) -> Vector:
        """``z / |z|``, which has nothing to do with the gradient."""
        return unit_(self._noise())
