"""What is minimised: a finite family of M minibatch losses over a flat vector.

Layout, everywhere in this package: the last axis is the parameter axis ``d``, the axis before it is the minibatch
axis ``M``, everything in front is batch. A point is given as

- ``(d,)``: the same point for every minibatch;
- ``(..., 1, d)``: a batch of points, each the same for every minibatch (``points[:, None]`` if they are ``(B, d)``);
- ``(..., M, d)``: every minibatch at its own point, as SAM needs it (``x + rho * u_m``).

Plural methods return one value per minibatch; singular methods return the mean over minibatches, ``f = E f_m``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import copy
from typing import Self, final

import sympy
import torch
from torch import Tensor

from ..ground.errors import InputError
from .derivatives.derivative_check import check_direction, compare_with_differences, percent
from .derivatives.smooth_norms import SmoothNorms

__all__ = ["Landscape", "Terms", "contracted_gradient_of", "taylor_terms"]

Terms = Sequence[tuple[float | Tensor, Sequence[Tensor]]]
"""Coefficients and the directions of a derivative, see :func:`contracted_gradient_of`."""


def contracted_gradient_of(losses: Callable[[Tensor], Tensor], x: Tensor, terms: Terms) -> Tensor:
    """``sum_t c_t grad^{k+1} f(x)[a_1, ..., a_k, .]`` with ``c_t`` and ``a_i`` held constant, by nested reverse passes.

    It is the gradient of ``sum_t c_t grad^k f[a_1, ..., a_k]``, so all terms share the last pass, and terms whose lists
    of directions begin alike, with the same tensors, share the passes of that beginning.

    Args:
        losses: maps ``(..., d)`` to ``(...)``, each value depending on its own point only.
        x: points, shape ``(..., d)``.
        terms: (``c``, ``(a_1, ..., a_k)``): a number or tensor that broadcasts against the losses, and directions that
            broadcast against ``x``. ``(1, ())`` gives the gradient, ``(1, (u,))`` the Hessian-vector product,
            ``(1, (u, w))`` the third derivative ``T[u, w]``.

    Returns:
        Shape of ``x``, which coefficients and directions must not enlarge.
    """
    x = x.detach().requires_grad_(True)
    order = 1 + max((len(directions) for _, directions in terms), default=0)
    with SmoothNorms(order) if order > 1 else nullcontext():  # gradients are torch's own, and need no interpreter
        value = losses(x)
    (result,) = torch.autograd.grad(_weighted(value, x, terms).sum(), x, materialize_grads=True)
    return result


def _weighted(value: Tensor, x: Tensor, terms: Terms) -> Tensor:
    """``sum_t c_t d_{a_1} ... d_{a_k} value``."""
    total = value * 0
    deeper: dict[int, tuple[Tensor, list[tuple[float | Tensor, Sequence[Tensor]]]]] = {}
    for coefficient, directions in terms:
        if directions:
            deeper.setdefault(id(directions[0]), (directions[0], []))[1].append((coefficient, directions[1:]))
        else:
            total = total + coefficient * value
    if deeper and value.requires_grad:  # else the value is a polynomial, and all further terms vanish
        (gradient,) = torch.autograd.grad(value.sum(), x, create_graph=True, materialize_grads=True)
        for direction, rest in deeper.values():
            total = total + _weighted((gradient * direction).sum(-1), x, rest)
    return total


def taylor_terms(u: Tensor | None, coefficients: Sequence[float]) -> Terms:
    """``sum_k c_k d_u^k`` as terms of :func:`contracted_gradient_of`."""
    if u is None:
        if len(coefficients) > 1:
            raise InputError("a Taylor term beyond the gradient needs a direction u; give u")
        return [(c, ()) for c in coefficients]
    return [(c, [u] * k) for k, c in enumerate(coefficients)]


class Landscape(ABC):
    """A finite family of ``M`` losses ``f_m(x)``, ``x`` of dimension ``d``; a step draws one ``m`` uniformly.

    Subclasses implement ``_losses`` on points that are already of shape ``(..., M, d)``; all derivatives follow
    from it by automatic differentiation.

    Args:
        dim: number of parameters ``d``.
        size: number of minibatches ``M``.
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
        self._sound_orders = {0}  # of derivative; the gradient is taken on trust

    def to(self, dtype: torch.dtype, device: torch.device | str | None = None) -> Self:
        """The same landscape with other numbers: tensors among its attributes are converted.

        Args:
            dtype: floating type of points and results.
            device: where they live; None: where they are.

        Example:
            >>> from eigensam.landscapes import TiltedTorus
            >>> f = TiltedTorus.default(2).to(torch.float32)
            >>> f.gradient(torch.zeros(2)).dtype
            torch.float32
        """
        result = copy(self)
        result.dtype, result.device = dtype, self.device if device is None else torch.device(device)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(result, name, value.to(result.device, dtype))
        result._sound_orders = {0}
        return result

    def formulas(self, x: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
        """The minibatches' losses as exact formulas in the given symbols, where there are such.

        Raises:
            InputError: the landscape is not analytic.
        """
        raise InputError(f"{type(self).__name__} has no closed formula; use an analytic landscape or FormulaLandscape")

    @abstractmethod
    def _losses(self, x: Tensor) -> Tensor:
        """Losses of shape ``(..., M)`` at points of shape ``(..., M, d)``; differentiable in ``x``."""

    @final
    def _expand(self, x: Tensor, name: str = "x") -> Tensor:
        """Broadcast a point (or a direction) to ``(..., M, d)``; refuse what does not fit."""
        if x.shape[-1:] != (self.dim,) or (x.ndim > 1 and x.shape[-2] not in (1, self.size)):
            raise InputError(
                f"{name} has shape {tuple(x.shape)}; expected ({self.dim},), (..., 1, {self.dim}) or "
                f"(..., {self.size}, {self.dim}): a batch of points needs a minibatch axis, {name}[:, None]"
            )
        return x.expand(*x.shape[:-2], self.size, self.dim)

    @final
    def losses(self, x: Tensor) -> Tensor:
        """Loss of every minibatch, shape ``(..., M)``."""
        return self._losses(self._expand(x))

    @final
    def loss(self, x: Tensor) -> Tensor:
        """Mean loss ``f(x) = E f_m(x)``, shape ``(...)``."""
        return self.losses(x).mean(-1)

    def contracted_gradients(self, x: Tensor, terms: Terms) -> Tensor:
        """``sum_t c_t grad^{k+1} f_m(x)[a_1, ..., a_k, .]`` of every minibatch, shape ``(..., M, d)``.

        Args:
            x: points.
            terms: (``c``, ``(a_1, ..., a_k)``): a number or a tensor of shape ``(..., 1)`` or ``(..., M)``, and
                directions in the layout of points; terms that begin with the same tensors share passes.

        Example:
            >>> import torch
            >>> from eigensam.landscapes import Quadratic
            >>> f = Quadratic([[2.0]], centres=[[0.0], [1.0]])
            >>> x = torch.tensor([3.0], dtype=torch.float64)
            >>> f.contracted_gradients(x, [(1.0, ()), (0.5, (x,))]).tolist()  # grad f_m + 1/2 H_m x
            [[9.0], [7.0]]
        """
        x, terms = self._expanded(x, terms)
        order = max((len(directions) for _, directions in terms), default=0)
        if order not in self._sound_orders:
            self._check_order(order, x.detach().reshape(-1, self.size, self.dim)[0])
        return contracted_gradient_of(self._losses, x, terms)

    def _check_order(self, order: int, x: Tensor) -> None:
        """Compare a derivative with differences of the one below, the first time, at one point ``(M, d)``.

        The losses may be anybody's code, and that a derivative of it goes through does not make it right.
        """
        if order - 1 not in self._sound_orders:
            self._check_order(order - 1, x)
        flat = x.flatten()
        u = check_direction(flat, [torch.Size([self.dim])] * self.size)

        def derivative(p: Tensor, k: int) -> Tensor:
            direction = u.view(x.shape)
            return contracted_gradient_of(self._losses, p.view(x.shape), [(1.0, (direction,) * k)]).flatten()

        if flat.dtype in (torch.float32, torch.float64):
            compared = compare_with_differences(
                lambda: derivative(flat, order), lambda p: derivative(p, order - 1), flat, u
            )
            if compared.outcome == "differs":
                raise InputError(
                    f"a derivative of order {order + 1} of {type(self).__name__}'s losses is by "
                    f"{percent(compared.error)} off differences of the one below: a function in _losses has a backward "
                    "pass that torch does not differentiate rightly; use torch's own operations, or override "
                    "contracted_gradients"
                )
        self._sound_orders.add(order)

    def contracted_gradient(self, x: Tensor, terms: Terms) -> Tensor:
        """Mean over minibatches of :meth:`contracted_gradients`, shape ``(..., d)``."""
        return self.contracted_gradients(x, terms).mean(-2)

    @final
    def _expanded(self, x: Tensor, terms: Terms) -> tuple[Tensor, Terms]:
        """Points and directions of one shape ``(..., M, d)``; a tensor that occurs twice stays one tensor."""
        x = self._expand(x)
        directions = {id(a): self._expand(a, "u") for _, given in terms for a in given}
        shape = torch.broadcast_shapes(x.shape, *(a.shape for a in directions.values()))
        coefficients = [c.shape for c, _ in terms if isinstance(c, Tensor)]
        shape = torch.broadcast_shapes(shape, *((*s, 1) for s in coefficients))
        return x.expand(shape), [(c, [directions[id(a)] for a in given]) for c, given in terms]

    @final
    def taylor_gradients(self, x: Tensor, u: Tensor | None, coefficients: Sequence[float]) -> Tensor:
        """``sum_k c_k grad d_u^k f_m(x)`` of every minibatch with ``u`` held constant, shape ``(..., M, d)``.

        With ``c_k = rho^k / k!`` this is the gradient at ``x + rho u`` truncated in ``rho`` (theory, section 2).
        """
        return self.contracted_gradients(x, taylor_terms(u, coefficients))

    @final
    def taylor_gradient(self, x: Tensor, u: Tensor | None, coefficients: Sequence[float]) -> Tensor:
        """Mean over minibatches of :meth:`taylor_gradients`, shape ``(..., d)``."""
        return self.contracted_gradient(x, taylor_terms(u, coefficients))

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
