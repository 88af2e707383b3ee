"""Curvature-regularised SAM: looks uphill and downhill."""

import math
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..passes import Passes, deliver
from ..sharpness_aware import SharpnessAwareOptimizer
from .sam import unit_

__all__ = ["CRSAM"]


@final
class CRSAM(SharpnessAwareOptimizer):
    """Base step along ``g_+ + gamma (g_+ + g_- - 2 g) + beta (g_+ - g_-)``, ``g_+- = grad f_m(x +- rho g / |g|)``.

    The second term is the gradient of ``gamma rho^2 g^T H g / |g|^2`` to second order in ``rho``, the third that of
    ``2 beta rho |g|`` (Wu, Luo and Wunsch, AAAI 2024, as in the released code). Three passes a step. Where all workers'
    gradients are averaged, those of every pass are.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0 (released code: 0.1).
        gamma: weight of the second difference, at least 0 (released code: 0.1).
        beta: weight of the first difference, at least 0 (released code: 0.01); with gamma = beta = 0 this is SAM.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho``, ``gamma`` or ``beta`` below 0.

    Example:
        >>> import torch
        >>> from eigensam.optim import CRSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = CRSAM([x], rho=0.5, gamma=0.1, beta=0.1, lr=0.1)
        >>> loss = optimizer.step(lambda: (x ** 2).sum())
        >>> round(x.item(), 6)  # 1 - 0.1 * (3 + 0.1 * (3 + 1 - 2 * 2) + 0.1 * (3 - 1))
        0.68
    """

    kept_settings = ("gamma", "beta")
    ascent_may_be_local = False

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.1,
        gamma: float = 0.1,
        beta: float = 0.01,
        **options: Any,
    ) -> None:
        if not (0 <= gamma < math.inf and 0 <= beta < math.inf):
            raise InputError(f"gamma = {gamma}, beta = {beta}: both must be at least 0 (released code: 0.1 and 0.01)")
        super().__init__(params, base, rho=rho, **options)
        self.gamma, self.beta = float(gamma), float(beta)

    def make_gradient(self, passes: Passes) -> Tensor:
        """Three passes; one, if no parameter is to be perturbed."""
        loss, g = passes.gradient()
        perturbed = self.perturbed()
        if not any(perturbed):
            return loss
        with torch.no_grad():
            # The first gradient may lie where the next pass puts its own (buckets of data parallelism).
            total = g.clone()
            shift = self.shift(unit_(g.select(perturbed).clone()))
            total.mul_(-2 * self.gamma)
        with self.shifted(shift):
            _, g = passes.gradient()
        total.add_(g, 1 + self.gamma + self.beta)
        with self.shifted(shift.mul_(-1.0)):
            _, g = passes.gradient()
        total.add_(g, self.gamma - self.beta)
        deliver(total, passes.parameters, passes.signs)
        return loss
