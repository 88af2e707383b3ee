"""What is minimised: a finite family of M minibatch losses over a flat vector.

Layout, everywhere in this package: the last axis is the parameter axis ``d``, the axis before it is the member
axis ``M``, everything in front is batch. A point is given as

- ``(d,)``: the same point for every member;
- ``(..., 1, d)``: a batch of points, each the same for every member (``points[:, None]`` if ``points`` is ``(B, d)``);
- ``(..., M, d)``: every member at its own point, as SAM needs it (``x + rho * u_m``).

Plural methods return one value per member; singular methods return the mean over members, ``f = E f_m``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

from .errors import InputError
from .smooth_norms import SmoothNorms

__all__ = ["Landscape", "taylor_coefficients", "taylor_gradient_of"]


def taylor_coefficients(rho: float, order: int) -> list[float]:
    """Coefficients ``rho^k / k!`` of the first ``order`` Taylor terms, ``k = 0 .. order-1``.

    Example:
        >>> taylor_coefficients(0.5, 3)
        [1.0, 0.5, 0.125]
    """
    return [rho**k / math.factorial(k) for k in range(order)]


def taylor_gradient_of(
    losses: Callable[[Tensor], Tensor], x: Tensor, u: Tensor | None, coefficients: Sequence[float]
) -> Tensor:
    """Gradient in ``x`` of ``sum_k c_k d^k/du^k f(x)`` with ``u`` held constant, by nested reverse passes.

    Args:
        losses: maps ``(..., d)`` to ``(...)``, each value depending on its own point only.
        x: points, shape ``(..., d)``.
        u: directions that broadcast against ``x``; may be None if only ``c_0`` is given.
        coefficients: ``c_0, c_1, ...``; ``(1,)`` gives the gradient, ``(0, 1)`` the Hessian-vector product,
            ``(0, 0, 1)`` the third-derivative contraction ``T[u, u]``.

    Returns:
        Shape of ``x``.
    """
    x = x.detach().requires_grad_(True)
    with SmoothNorms(len(coefficients)):
        term = losses(x)
    total = coefficients[0] * term
    for coefficient in coefficients[1:]:
        if u is None:
            raise InputError("a Taylor term beyond the gradient needs a direction u; give u")
        if not term.requires_grad:  # f is a polynomial along u and all further terms vanish
            break
        (gradient,) = torch.autograd.grad(term.sum(), x, create_graph=True, materialize_grads=True)
        term = (gradient * u).sum(-1)
        total = total + coefficient * term
    (result,) = torch.autograd.grad(total.sum(), x, materialize_grads=True)
    return result


class Landscape(ABC):
    """A finite family of ``M`` losses ``f_m(x)``, ``x`` of dimension ``d``; a minibatch is one uniform draw of ``m``.

    Subclasses implement ``_losses`` on points that are already of shape ``(..., M, d)``; all derivatives follow
    from it by automatic differentiation.

    Args:
        dim: number of parameters ``d``.
        size: number of members ``M``.
        dtype: floating type of points and results.
        device: where points and results live.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> landscape = Quadratic(torch.diag(torch.tensor([2.0, 1.0])), centres=[[1.0, 0.0], [-1.0, 0.0]])
        >>> x = torch.tensor([1.0, 1.0], dtype=torch.float64)
        >>> landscape.gradients(x).tolist()
        [[0.0, 1.0], [4.0, 1.0]]
        >>> landscape.gradient(x).tolist()
        [2.0, 1.0]
    """

    def __init__(self, dim: int, size: int, dtype: torch.dtype, device: torch.device) -> None:
        self.dim = dim
        self.size = size
        self.dtype = dtype
        self.device = device

    @abstractmethod
    def _losses(self, x: Tensor) -> Tensor:
        """Losses of shape ``(..., M)`` at points of shape ``(..., M, d)``; differentiable in ``x``."""

    @final
    def _expand(self, x: Tensor, name: str = "x") -> Tensor:
        """Broadcast a point (or a direction) to ``(..., M, d)``; refuse what does not fit."""
        if x.shape[-1:] != (self.dim,) or (x.ndim > 1 and x.shape[-2] not in (1, self.size)):
            raise InputError(
                f"{name} has shape {tuple(x.shape)}; expected ({self.dim},), (..., 1, {self.dim}) or "
                f"(..., {self.size}, {self.dim}): a batch of points needs a member axis, {name}[:, None]"
            )
        return x.expand(*x.shape[:-2], self.size, self.dim)

    @final
    def losses(self, x: Tensor) -> Tensor:
        """Loss of every member, shape ``(..., M)``."""
        return self._losses(self._expand(x))

    @final
    def loss(self, x: Tensor) -> Tensor:
        """Mean loss ``f(x) = E f_m(x)``, shape ``(...)``."""
        return self.losses(x).mean(-1)

    def taylor_gradients(self, x: Tensor, u: Tensor | None, coefficients: Sequence[float]) -> Tensor:
        """``sum_k c_k grad d_u^k f_m(x)`` of every member with ``u`` held constant, shape ``(..., M, d)``.

        With ``c_k = rho^k / k!`` this is the gradient at ``x + rho u`` truncated in ``rho`` (theory, section 2).
        """
        x = self._expand(x)
        if u is not None:
            u = self._expand(u, "u")
            x = x.expand(torch.broadcast_shapes(x.shape, u.shape))
        return taylor_gradient_of(self._losses, x, u, coefficients)

    def taylor_gradient(self, x: Tensor, u: Tensor | None, coefficients: Sequence[float]) -> Tensor:
        """Mean over members of :meth:`taylor_gradients`, shape ``(..., d)``."""
        return self.taylor_gradients(x, u, coefficients).mean(-2)

    @final
    def gradients(self, x: Tensor) -> Tensor:
        """``g_m = grad f_m(x)``, shape ``(..., M, d)``."""
        return self.taylor_gradients(x, None, (1.0,))

    @final
    def hessian_products(self, x: Tensor, u: Tensor) -> Tensor:
        """``H_m u_m``, shape ``(..., M, d)``."""
        return self.taylor_gradients(x, u, (0.0, 1.0))

    @final
    def third_products(self, x: Tensor, u: Tensor) -> Tensor:
        """``T_m[u_m, u_m]``, the third derivative contracted twice, shape ``(..., M, d)``."""
        return self.taylor_gradients(x, u, (0.0, 0.0, 1.0))

    @final
    def gradient(self, x: Tensor) -> Tensor:
        """``grad f(x)``, shape ``(..., d)``."""
        return self.taylor_gradient(x, None, (1.0,))

    @final
    def hessian_product(self, x: Tensor, u: Tensor) -> Tensor:
        """``H(x) u`` of the mean loss, shape ``(..., d)``."""
        return self.taylor_gradient(x, u, (0.0, 1.0))

    @final
    def third_product(self, x: Tensor, u: Tensor) -> Tensor:
        """``T(x)[u, u]`` of the mean loss, shape ``(..., d)``."""
        return self.taylor_gradient(x, u, (0.0, 0.0, 1.0))
