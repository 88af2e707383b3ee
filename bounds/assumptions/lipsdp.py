"""The semidefinite upper end of a perceptron's Lipschitz constant, LipSDP, with one multiplier for each unit.

Any positive multipliers that are feasible prove a bound, so they are sought by gradient descent and need not be
optimal; what is proved is checked afterwards by a Cholesky factorisation with a margin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from .operator_norms import ROUNDING

__all__ = ["LipSDP", "lipsdp", "proved_constant"]

_MARGIN = 1e-9  # relative, of feasibility: rounding of products of matrices of at most 10^3 rows is below 1e-12
_MOST_WIDE = 600  # ours: units of a layer up to which a step of the descent takes a fraction of a second


@dataclass(frozen=True)
class LipSDP:
    """What was found.

    Attributes:
        upper: the proved constant.
        start: that of equal multipliers, the product of norms and slopes.
        evaluations: of bound and gradient.
    """

    upper: float
    start: float
    evaluations: int


def _quadratic_form(weight: Tensor, after: Tensor, t: Tensor, slope: tuple[float, float]) -> Tensor:
    """``X`` before a layer from the form ``after`` behind it: ``d^T after d <= v^T X v`` for all ``v = x - x'``.

    With ``w = W v`` and ``d`` the difference of activations, ``(b w_i - d_i)(d_i - a w_i) >= 0`` for slopes in ``[a,
    b]``. So ``d^T A d <= d^T A d + 2 sum_i t_i (b w_i - d_i)(d_i - a w_i)``, whose largest value over ``d`` is
    ``(a+b)^2 w^T T (2T - A)^{-1} T w - 2ab w^T T w`` where ``2T - A`` is positive definite.
    """
    low, high = slope
    inner = torch.diag(2 * t) - after
    middle = (low + high) ** 2 * t[:, None] * torch.linalg.solve(inner, torch.diag(t)) - 2 * low * high * torch.diag(t)
    form = weight.mT @ middle @ weight
    symmetric: Tensor = (form + form.mT) / 2
    return symmetric


def proved_constant(
    weights: Sequence[Tensor], multipliers: Sequence[Tensor], slope: Sequence[tuple[float, float]]
) -> float:
    """The bound that these multipliers prove, or infinity where they are not feasible.

    Args:
        weights: ``W_0 ... W_l`` in float64, first layer first.
        multipliers: positive, one for each unit of each hidden layer.
        slope: interval of the activation's slope for each hidden layer.

    Example:
        A hidden layer of two units that undo each other, which the product of norms does not see:

        >>> first, last = torch.tensor([[1.0], [1.0]]).double(), torch.tensor([[1.0, -1.0]]).double()
        >>> equal = torch.full((2,), 2.0).double()
        >>> round(proved_constant([first, last], [equal], [(0.0, 1.0)]), 6)
        1.414214
    """
    form = weights[-1].mT @ weights[-1]
    for weight, t, each in zip(reversed(weights[:-1]), reversed(multipliers), reversed(slope), strict=True):
        inner = torch.diag(2 * t) - form
        margin = _MARGIN * float(2 * t.max() + torch.linalg.matrix_norm(form))
        shifted = inner - margin * torch.eye(len(t), dtype=t.dtype)
        if not bool((t > 0).all()) or int(torch.linalg.cholesky_ex(shifted).info):
            return float("inf")
        condition = float(torch.linalg.cond(inner))
        rounding = max(_MARGIN, 10 * len(t) * torch.finfo(t.dtype).eps * condition)  # of the solution below, relative
        if not rounding < 1e-3:
            return float("inf")
        form = _quadratic_form(weight, form, t, each)
        form = form + rounding * float(torch.linalg.matrix_norm(form)) * torch.eye(len(form), dtype=t.dtype)
    return float(torch.linalg.eigvalsh(form)[-1].clamp_min(0).sqrt()) * ROUNDING


def _multipliers(theta: Tensor, weights: Sequence[Tensor], slope: Sequence[tuple[float, float]]) -> list[Tensor]:
    """Feasible ones from any numbers: shapes of ``T`` and how far it lies above the least feasible multiple."""
    form = weights[-1].mT @ weights[-1]
    found: list[Tensor] = []
    sizes = [len(weight) for weight in weights[:-1]]
    parts = theta.split([size + 1 for size in sizes])
    for weight, part, each in zip(reversed(weights[:-1]), reversed(parts), reversed(slope), strict=True):
        shape = part[:-1].exp()
        root = shape.rsqrt()
        least = torch.linalg.eigvalsh(root[:, None] * form * root)[-1] / 2
        t = least * (1 + part[-1].exp() + 1e-4) * shape
        found.insert(0, t)
        form = _quadratic_form(weight, form, t, each)
    return found


def lipsdp(weights: Sequence[Tensor], slope: Sequence[tuple[float, float]], *, evaluations: int = 60) -> LipSDP | None:
    """A proved Lipschitz constant of ``W_l phi(... phi(W_0 x + b_0) ...)``; None for layers that are too wide.

    Args:
        weights: ``W_0 ... W_l``, at least two.
        slope: interval of the slope of each activation.
        evaluations: most of the descent.

    Reference:
        Fazlyab, Robey, Hassani, Morari, Pappas, Efficient and Accurate Estimation of Lipschitz Constants for Deep
        Neural Networks, NeurIPS 2019, Theorem 2, with diagonal multipliers (LipSDP-Neuron). The layers are eliminated
        one after the other, which is the Schur complement of their block-tridiagonal matrix.

    Example:
        >>> first, last = torch.tensor([[1.0], [1.0]]), torch.tensor([[1.0, -1.0]])
        >>> found = lipsdp([first, last], [(0.0, 1.0)])
        >>> 1.0 <= found.upper <= found.start <= 2.001
        True
    """
    weights = [weight.detach().double().cpu() for weight in weights]
    if max(len(weight) for weight in weights[:-1]) > _MOST_WIDE or any(not weight.any() for weight in weights):
        return None
    # Equal multipliers at the excess that gives the product of norms and slopes (see the tests).
    theta = torch.cat([torch.cat([torch.zeros(len(w)), torch.tensor([_excess(*each)]).log()]).double()
                       for w, each in zip(weights[:-1], slope, strict=True)])  # fmt: skip
    best = start = proved_constant(weights, _multipliers(theta, weights, slope), slope)

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        point = torch.from_numpy(values).requires_grad_()
        multipliers = _multipliers(point, weights, slope)
        form = weights[-1].mT @ weights[-1]
        for weight, t, each in zip(reversed(weights[:-1]), reversed(multipliers), reversed(slope), strict=True):
            form = _quadratic_form(weight, form, t, each)
        value = torch.linalg.eigvalsh(form)[-1].log()
        (gradient,) = torch.autograd.grad(value, point)
        with torch.no_grad():
            best = min(best, proved_constant(weights, multipliers, slope))
        return float(value.detach()), gradient.numpy()

    found = minimize(objective, theta.numpy(), jac=True, method="L-BFGS-B",
                     bounds=[(-12.0, 12.0)] * len(theta), options={"maxfun": evaluations})  # fmt: skip
    return LipSDP(best, start, int(found.nfev))


def _excess(low: float, high: float) -> float:
    """``T = (1 + excess) |A|/2``: with equal multipliers this one gives the form ``max slope^2 |A| W^T W``."""
    return min(max((low + high) / max(high - low, 1e-3), 1e-3), 1e3)
