"""How curved the minibatches' losses are along their own gradients."""

import torch
from torch import Tensor

from ..landscape import Landscape
from ..networks.network import NetworkLandscape

__all__ = ["batch_sharpness"]


def batch_sharpness(landscape: Landscape, x: Tensor) -> float:
    """``E [g_m^T H_m g_m / |g_m|^2]`` over minibatches at ``x``; NaN where a gradient is 0.

    The mean of the ratios, as in the experiments of Andreyev & Beneventano, not the ratio of the means, in which long
    gradients would count more. Where SGD with learning rate ``eta`` has become unstable, it stays near ``2 / eta``,
    while ``lambda_1`` of the mean loss stays below. With momentum or another base the threshold is another one.

    Args:
        landscape: ``f_m``, minibatches of the size that the training steps with.
        x: where, shape ``(d,)``.

    Reference:
        Andreyev and Beneventano, Edge of Stochastic Stability: Revisiting the Edge of Stability for SGD,
        arXiv 2412.20553.

    Example:
        Minibatches that are curved along different axes; the mean loss has the Hessian ``diag(2, 1)``.

        >>> import sympy, torch
        >>> from eigensam.landscapes import FormulaLandscape
        >>> x, y = sympy.symbols("x y")
        >>> f = FormulaLandscape([x, y], [2 * x**2, y**2])
        >>> batch_sharpness(f, torch.ones(2, dtype=torch.float64))
        3.0
    """
    quotients = []
    if isinstance(landscape, NetworkLandscape):  # in the memory of one minibatch
        for m in range(landscape.size):
            u = _unit(landscape.minibatch_gradient(x, m))
            quotients.append(_dot(u, landscape.minibatch_taylor_gradient(x, u, (0.0, 1.0), m)))
    else:
        u = _unit(landscape.gradients(x))
        quotients.append(_dot(u, landscape.hessian_products(x, u)))
    return float(torch.stack(quotients).mean())


def _unit(g: Tensor) -> Tensor:
    wide = g.double()  # the squares of short gradients would leave the range of float32
    unit: Tensor = wide / torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    return unit.to(g.dtype)


def _dot(u: Tensor, v: Tensor) -> Tensor:
    product: Tensor = torch.linalg.vecdot(u.double(), v.double())
    return product
