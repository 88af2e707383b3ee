"""Adaptive SAM: the neighbourhood of a weight is as large as the weight."""

import math
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..two_pass import TwoPassOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["ASAM", "ellipsoid_ascent_"]


def ellipsoid_ascent_(g: Vector, axes: Vector) -> Vector:
    """``T^2 g / |T g|`` in place, ``T = diag(axes)``: maximises ``<g, u>`` over the ellipsoid ``|u / T| <= 1``.

    Example:
        >>> import torch
        >>> g, axes = (Vector([torch.tensor(each)]) for each in ([3.0, 1.0], [1.0, 4.0]))
        >>> [round(each, 6) for each in ellipsoid_ascent_(g, axes).flat().tolist()]  # T g = (3, 4)
        [0.6, 3.2]
    """
    u, axes = g.in_wide_range(), axes.in_wide_range()
    if not 1e-9 < g.norm() < 1e9:
        unit_(u)  # which changes nothing but the range of the products
    unit_(u.times_(axes)).times_(axes)
    return g if u is g else g.copy_(u)


@final
class ASAM(TwoPassOptimizer):
    """``x+ = base step with grad f_m(x + rho u)``, ``u = T^2 g / |T g|``, ``T = |x| + eta`` (Kwon et al. 2021).

    ``T`` is elementwise. Rescaling the weights of a network in a way that leaves the loss as it is leaves this
    perturbed loss as it is, too. The released code takes ``T = 1`` for all that is not called "weight": give such
    parameters a group with ``adaptive=False``.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho`` and ``adaptive``.
        base: class of the optimizer that takes the step; default SGD.
        rho: radius relative to the weights, at least 0 (released code: 0.5 for CIFAR-10, 1 for CIFAR-100).
        eta: added to each ``|x|``, at least 0, so that weights near 0 move, too (released code: 0.01).
        adaptive: whether ``T`` is as above; else 1.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``; ``eta < 0``.

    Example:
        >>> import torch
        >>> from eigensam.optim import ASAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = ASAM([x], rho=0.5, eta=0.0, lr=0.1)
        >>> loss = optimizer.step(lambda: (x ** 2).sum())
        >>> round(x.item(), 6)  # as SAM, whose radius is rho |x|
        0.7
    """

    kept_settings = ("eta",)

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.5,
        eta: float = 0.01,
        adaptive: bool = True,
        **options: Any,
    ) -> None:
        if not 0 <= eta < math.inf:
            raise InputError(f"eta = {eta} is negative or not finite; give eta >= 0 (released code: 0.01)")
        super().__init__(params, base, rho=rho, groups={"adaptive": adaptive}, **options)
        self.eta = float(eta)

    def ascent(self, g: Vector) -> Vector:
        """``T^2 g / |T g|`` at the parameters as they are, which are not perturbed yet."""
        x = Vector(self.moving())
        axes = x.like(
            part.abs().add_(self.eta) if each else torch.ones_like(part)
            for part, each in zip(x.parts, self.of_moving("adaptive"), strict=True)
        )
        return ellipsoid_ascent_(g, axes)
