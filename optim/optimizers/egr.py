"""Explicit regularisation by the gradient's norm."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ...landscapes.curvature.closure_hessian import ClosureCheck
from ...landscapes.derivatives.one_function import RandomState
from ..eigenvector_estimate import hessian_of, refreshing
from ..passes import Passes, ScalingSeen, deliver
from ..sharpness_aware import SharpnessAwareOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["EGR"]


@final
class EGR(SharpnessAwareOptimizer):
    """Base step along ``g + rho H g / |g|``, the gradient of ``f_m + rho |grad f_m|`` (the paper, Figure 5).

    What SAM does to first order in ``rho``, by a Hessian-vector product. Products are guarded as those of Eigen-SAM: in
    the first step they are compared with differences of gradients, and taken from these where they are wrong. In a
    group with ``rho = 0`` parameters do not count in ``|grad f_m|``.

    Args:
        params: parameters or parameter groups, on one device; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: weight of the gradient's norm, at least 0.
        check: whether the products are compared.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Attributes:
        checked: whether and how the products were checked.

    Raises:
        InputError: ``rho < 0``; a closure that calls ``backward``, or whose loss cannot be differentiated twice.

    Example:
        >>> import torch
        >>> from eigensam.optim import EGR
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = EGR([x], rho=0.5, lr=0.05)
        >>> loss = optimizer.step(lambda: (x ** 4).sum())
        >>> round(x.item(), 6)  # 1 - 0.05 * (4 + 0.5 * 12)
        0.5
    """

    ascent_may_be_local = False

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        check: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(params, base, rho=rho, **options)
        self._check = ClosureCheck(check)

    @property
    def checked(self) -> str:
        """See above."""
        return self._check.how

    def make_gradient(self, passes: Passes) -> Tensor:
        """One pass and one product."""
        loss, g = passes.gradient()
        perturbed = self.perturbed()
        if not any(perturbed):
            return loss
        shift = g.like(torch.zeros_like(part) for part in g.parts)
        with torch.no_grad():
            shift.select(perturbed).copy_(self.shift(unit_(g.select(perturbed).clone())))
        # A gradient of mixed signs is S g of the loss, so the product is S H.
        product = self._product(passes, shift)
        if passes.signs is not None:
            product.mul_(passes.signs)
        deliver(g.add_(product), passes.parameters, passes.signs)
        return loss

    def _product(self, passes: Passes, shift: Vector) -> Vector:
        parameters = passes.parameters
        random = RandomState({p.device for p in parameters})
        with refreshing(parameters) as replicas, ScalingSeen() as seen:
            hessian = hessian_of(passes.closures, parameters, passes.function, self._check, replicas)
            product = shift.views(hessian @ shift.flat())
        random.restore()  # where the pass has left it: the check draws otherwise
        if seen.scaled:
            raise InputError(
                "EGR differentiates the loss twice, so the closure must return the plain loss; leave the scaling to "
                "step(closure, scaler=scaler)"
            )
        return product
