"""Measures of flatness that look at layers: weighted by the distance moved, and invariant under rescaling."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["hessian_diagonal", "layerwise_distance_curvature", "normalised_sharpness"]

Product = Callable[[Tensor], Tensor]

_SWEEPS = 200  # of the alternation; it settles in tens
_TOLERANCE = 1e-10


def layerwise_distance_curvature(product: Product, moved: Tensor, sizes: list[int]) -> float:
    """``sum_l (v_l^T H_l v_l)^(1/2)``, ``v_l`` what the parameters of layer ``l`` have moved by, ``H_l`` their Hessian.

    The curvature part of a generalisation bound whose layers count apart. Ju, Li and Zhang take the largest Hessian
    over examples; here it is that of the mean loss, and a negative form counts as 0, so the number is smaller.

    Args:
        product: ``v -> H v`` of the training loss.
        moved: ``x - x_0``, shape ``(d,)``.
        sizes: numbers of parameters of the layers, in order, which add up to ``d``.

    Reference:
        Ju, Li and Zhang, Robust fine-tuning of deep neural networks with Hessian-based generalization guarantees, ICML
        2022, Theorem 2.1.

    Example:
        >>> import torch
        >>> H = torch.diag(torch.tensor([4.0, 1.0, 1.0], dtype=torch.float64))
        >>> layerwise_distance_curvature(lambda v: H @ v, torch.ones(3, dtype=torch.float64), [1, 2])
        3.414213562373095
    """
    total, start = 0.0, 0
    for size in sizes:
        v = torch.zeros_like(moved)
        v[start : start + size] = moved[start : start + size]
        total += math.sqrt(max(0.0, float(v.double() @ product(v).double())))
        start += size
    return total


def hessian_diagonal(product: Product, dim: int, *, probes: int, seed: int, like: Tensor) -> Tensor:
    """``diag H``, shape ``(d,)``: exact by ``d`` products if that is no dearer, else the mean of ``z * H z``, z = +-1.

    Args:
        product: ``v -> H v``.
        dim: ``d``.
        probes: products to spend.
        seed: of the signs.
        like: a tensor of the type and device to use.

    Reference:
        Bekas, Kokiopoulou and Saad, An estimator for the diagonal of a matrix, 2007.
    """
    diagonal = torch.zeros(dim, dtype=like.dtype, device=like.device)
    if probes >= dim:
        for i in range(dim):
            e = torch.zeros_like(diagonal)
            e[i] = 1
            diagonal[i] = product(e)[i]
        return diagonal
    generator = torch.Generator().manual_seed(seed)
    for _ in range(probes):
        z = (2 * torch.randint(2, (dim,), generator=generator) - 1).to(diagonal)
        diagonal += z * product(z) / probes
    return diagonal


def normalised_sharpness(model: nn.Module, diagonal: Tensor) -> float:
    """``sum_l min_(a,b > 0) (1/2) sum_ij [h_ij a_i b_j + W_ij^2 / (a_i b_j)]`` over the weight matrices of a network.

    ``h`` is the Hessian's diagonal, negative entries as 0; ``a_i b_j`` the variance of noise on ``W_ij``. The minimum
    over row and column scales makes it the same for all networks that rescaling of units between layers makes one
    function, as a ReLU network's are. For one entry it is ``|W| h^(1/2)``. It is found by alternation: for fixed ``b``
    the best ``a_i`` is ``(sum_j W_ij^2/b_j / sum_j h_ij b_j)^(1/2)``; in logarithms the problem is convex. Entries of
    kernels count as columns; biases and normalisations, which such rescaling moves differently, do not count.

    Args:
        model: its parameters in the order of the diagonal.
        diagonal: of the Hessian, ``(d,)``.

    Reference:
        Tsuzuku, Sato and Sugiyama, Normalized flat minima: exploring scale invariant definition of flat minima for
        neural networks using PAC-Bayesian analysis, ICML 2020.

    Example:
        >>> import torch
        >>> one = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.constant_(one.weight, 3.0)
        >>> round(normalised_sharpness(one, torch.tensor([4.0])), 6)
        6.0
    """
    total, start = 0.0, 0
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        h = diagonal[start : start + parameter.numel()].view(parameter.shape)
        start += parameter.numel()
        if parameter.ndim > 1:
            weights = parameter.detach().double().flatten(1).square()
            total += _least_sum(h.double().flatten(1).clamp(min=0), weights)
    return total


def _least_sum(h: Tensor, squares: Tensor) -> float:
    """``min_(a,b) (1/2) sum_ij [h_ij a_i b_j + squares_ij / (a_i b_j)]``; 0 is approached where one is 0."""
    tiny = torch.finfo(h.dtype).tiny
    a, b = torch.ones(len(h)).to(h), torch.ones(h.shape[1]).to(h)

    def balance(numerator: Tensor, denominator: Tensor) -> Tensor:
        return ((numerator + tiny) / (denominator + tiny)).sqrt().clamp(1e-60, 1e60)

    last = math.inf
    for _ in range(_SWEEPS):
        a = balance(squares @ (1 / b), h @ b)
        b = balance((1 / a) @ squares, a @ h)
        value = 0.5 * float(a @ h @ b + (1 / a) @ squares @ (1 / b))
        if last - value <= _TOLERANCE * value:
            break
        last = value
    return value
