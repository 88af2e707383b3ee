"""The Hessian of any landscape's mean loss, and the top of its spectrum."""

from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape
from ..networks.network import NetworkLandscape
from ..spectra.eigenpairs import Eigenpairs
from ..spectra.ends import End
from ..spectra.lanczos_iteration import lanczos
from ..spectra.lanczos_settings import LanczosOptions
from ..spectra.operators import FunctionOperator, SymmetricOperator
from .network_hessian import Hessian, HessianMethod

__all__ = ["eigenvalue_gradient", "hessian", "top_eigenpairs"]


def hessian(landscape: Landscape, x: Tensor, *, method: HessianMethod = "auto") -> SymmetricOperator:
    """``grad^2 f(x)`` of the mean loss at ``x``, shape ``(d,)``; of a network as :class:`Hessian` computes it.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic(torch.diag(torch.tensor([2.0, 1.0])), centres=[[0.0, 0.0]])
        >>> (hessian(f, torch.zeros(2)) @ torch.tensor([1.0, 1.0])).tolist()
        [2.0, 1.0]
    """
    if isinstance(landscape, NetworkLandscape):
        weights, batches = landscape.weighted_chunks()
        operator = Hessian(landscape.network, batches, x, method=method, weights=weights)
        return operator.sharing(landscape.derivatives)
    if x.shape != (landscape.dim,):
        raise InputError(f"the point has shape {tuple(x.shape)}; expected ({landscape.dim},)")
    if not torch.isfinite(x).all():
        raise InputError("the point holds NaN or infinity; take an earlier one")
    x = x.to(landscape.device, landscape.dtype)
    return FunctionOperator(
        lambda v: landscape.hessian_product(x, v),
        landscape.dim,
        landscape.dtype,
        landscape.device,
        checked=f"by {type(landscape).__name__}: a closed form, or compared once with differences that are clear",
    )


def eigenvalue_gradient(landscape: Landscape, x: Tensor, v: Tensor) -> Tensor:
    """``grad lambda(x) = T(x)[v, v]`` of a simple eigenvalue with the unit eigenvector ``v``; both of shape ``(d,)``.

    SAM's third-order drift moves along it (theory, section 2). An error ``e`` of ``v`` enters twice: ``2 T[v, e]``.

    Raises:
        InputError: ``v`` is not a unit vector of shape ``(d,)``.

    Example:
        The sharp direction of a valley is the second one; it flattens towards 0.

        >>> import torch
        >>> from eigensam.landscapes import Valley
        >>> f, x = Valley(flat=1.0, sharp=5.0), torch.tensor([1.0, 0.0], dtype=torch.float64)
        >>> [round(value, 4) for value in eigenvalue_gradient(f, x, torch.tensor([0.0, 1.0])).tolist()]
        [2.4261, 0.0]
    """
    if v.shape != (landscape.dim,):
        raise InputError(f"the eigenvector has shape {tuple(v.shape)}; expected ({landscape.dim},)")
    if not abs(float(v.norm()) - 1) <= 1e-3:  # also where it holds a NaN
        raise InputError(f"the eigenvector has length {float(v.norm()):.4g}; expected a unit vector")
    return landscape.third_product(x, v.to(landscape.device, landscape.dtype))


def top_eigenpairs(
    landscape: Landscape,
    x: Tensor,
    k: int = 1,
    *,
    which: End = "largest",
    max_products: int = 100,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    callback: Callable[[int, float, float], object] | None = None,
    **options: Unpack[LanczosOptions],
) -> Eigenpairs:
    """Extreme algebraic eigenpairs of the Hessian of the mean loss at ``x`` (``(d,)``), by :func:`lanczos`.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Valley, top_eigenpairs
        >>> f = Valley(flat=1.0, sharp=5.0)
        >>> round(top_eigenpairs(f, torch.zeros(2, dtype=torch.float64)).values.item(), 10)
        1.0
    """
    return lanczos(
        hessian(landscape, x),
        k,
        which=which,
        max_products=max_products,
        tolerance=tolerance,
        start=start,
        callback=callback,
        **options,
    )
