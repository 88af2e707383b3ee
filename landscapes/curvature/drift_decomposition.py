"""SAM's drift in the eigenvectors of the Hessian, and how much of it flattens eigenvalues."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape
from ..networks.network import NetworkLandscape
from ..spectra.eigenpairs import Eigenpairs
from .landscape_hessian import eigenvalue_gradient
from .perturbations import Perturbation, minibatch_perturbations

__all__ = ["DriftDecomposition", "decompose_drift"]

_TERMS = ("gradient", "hessian", "third")


@dataclass(frozen=True)
class DriftDecomposition:
    """The three terms of ``-drift = E[g + rho H u + (rho^2/2) T[u, u]]`` seen from ``k`` eigenvectors ``v_i``.

    Everything is float64 on the CPU; the terms' order is gradient, Hessian, third derivative.

    Attributes:
        rho: perturbation radius.
        components: ``<term, v_i>``, shape ``(3, k)``; their signs are those of ``v_i``.
        norms: ``|term|``, shape ``(3,)``.
        outside: length of the part of each term that is orthogonal to all ``v_i``, shape ``(3,)``.
        squared_alignments: ``E<u, v_i>^2``, shape ``(k,)``; squared cosines where ``u`` has length 1.
        shares: ``<s_i, t> / |t|^2``, shape ``(k,)``, of ``s_i = E<u, v_i>^2 (rho^2/2) grad lambda_i`` in the
            third-order term ``t``; NaN where ``t`` is 0.
    """

    rho: float
    components: Tensor
    norms: Tensor
    outside: Tensor
    squared_alignments: Tensor
    shares: Tensor

    def __repr__(self) -> str:
        k = len(self.shares)
        lines = [" ".join(f"{name:>11}" for name in ("", "norm", "outside", *(f"v_{i + 1}" for i in range(k))))]
        for name, *numbers in zip(_TERMS, self.norms, self.outside, self.components, strict=True):
            row = [float(number) for part in numbers for number in part.flatten()]
            lines.append(" ".join([f"{name:>11}", *(f"{number:>11.4g}" for number in row)]))
        for name, values in (("<u, v>^2", self.squared_alignments), ("share", self.shares)):
            lines.append(" ".join([f"{name:>11}", " " * 23, *(f"{float(value):>11.4g}" for value in values)]))
        return "\n".join([f"drift of SAM, rho = {self.rho:g}, explained by eigenvalues: {self.explained:.4g}", *lines])

    @property
    def explained(self) -> float:
        """Sum of ``shares``: what the regularisation of the ``k`` eigenvalues explains of the third-order term.

        A component, not a fraction of a sum of squares: below 0 or above 1 where the rest points the other way. The
        rest is the cross terms ``E<u, v_i><u, v_j> T[v_i, v_j]``, the part of ``u`` outside the span, and what the
        minibatches' own third derivatives differ from their mean, ``E (T_m - T)[u_m, u_m]``.
        """
        return float(self.shares.sum())

    def to_dict(self) -> dict[str, float]:
        """All numbers under flat names, eigenvectors counted from 1: ``drift_third_1``, ``eigenvalue_share_1``, ..."""
        row: dict[str, float] = {"rho": self.rho}
        for term, name in enumerate(_TERMS):
            row |= {f"drift_{name}_{i + 1}": float(value) for i, value in enumerate(self.components[term])}
            row |= {f"drift_{name}_norm": float(self.norms[term]), f"drift_{name}_outside": float(self.outside[term])}
        row |= {f"squared_alignment_{i + 1}": float(value) for i, value in enumerate(self.squared_alignments)}
        row |= {f"eigenvalue_share_{i + 1}": float(value) for i, value in enumerate(self.shares)}
        return {**row, "eigenvalue_share": self.explained}


def decompose_drift(
    landscape: Landscape,
    x: Tensor,
    pairs: Eigenpairs,
    rho: float,
    *,
    perturbation: Perturbation | None = None,
) -> DriftDecomposition:
    """``E[g + rho H u + (rho^2/2) T[u, u]]`` along eigenvectors of the mean loss's Hessian.

    ``T_m[u, u] = grad^3 f_m(u, u, .)`` with ``u`` held constant. For a simple eigenvalue of the mean loss
    ``T[v, v] = grad lambda``, so the third-order term regularises ``lambda_i`` in proportion to the squared alignment
    ``E<u, v_i>^2``. Costs, for each minibatch, a gradient, a Hessian product and ``1 + k`` third products; of a
    network, one minibatch at a time is in memory.

    Args:
        landscape: ``f_m``.
        x: where, shape ``(d,)``.
        pairs: eigenpairs of the mean loss's Hessian at ``x``, with orthonormal vectors of shape ``(k, d)``. For a
            repeated eigenvalue ``T[v, v]`` is not a gradient, and its share means nothing.
        rho: perturbation radius; negative for Reverse-SAM.
        perturbation: ``u_m``, see :func:`minibatch_perturbations`; default ``g_m / |g_m|``.

    Raises:
        InputError: shapes that do not fit, vectors that are not orthonormal, a ``rho`` that is not finite.

    Reference:
        Luo et al., Explicit Eigenvalue Regularization Improves Sharpness-Aware Minimization, NeurIPS 2024, Theorem 4.2
        and what follows on the alignment of perturbation and eigenvector.

    Example:
        At the bottom of a valley all perturbations point along the sharp direction: all of the third-order term is
        the gradient of its eigenvalue.

        >>> import torch
        >>> from eigensam.landscapes import Valley, top_eigenpairs
        >>> f, x = Valley(flat=1.0, sharp=5.0), torch.tensor([1.0, 0.0], dtype=torch.float64)
        >>> found = decompose_drift(f, x, top_eigenpairs(f, x), rho=0.1)
        >>> round(found.squared_alignments.item(), 6), round(found.explained, 6), round(found.norms[2].item(), 6)
        (1.0, 1.0, 0.012131)
    """
    _check(landscape, x, pairs.vectors, rho)
    x = x.to(landscape.device, landscape.dtype)
    vectors = pairs.vectors.to(landscape.device, torch.float64)
    terms, squares = _mean_terms(landscape, x, vectors, perturbation)
    terms *= torch.tensor([1.0, rho, rho**2 / 2], dtype=torch.float64, device=terms.device)[:, None]
    components = terms @ vectors.mT
    third = terms[2]
    shares = [
        square * rho**2 / 2 * (eigenvalue_gradient(landscape, x, v).double() @ third) / (third @ third)
        for square, v in zip(squares, vectors, strict=True)
    ]
    outside = torch.linalg.vector_norm(terms - components @ vectors, dim=1)
    return DriftDecomposition(
        float(rho),
        components.cpu(),
        torch.linalg.vector_norm(terms, dim=1).cpu(),
        outside.cpu(),
        squares.cpu(),
        torch.stack(shares).cpu(),
    )


def _mean_terms(
    landscape: Landscape, x: Tensor, vectors: Tensor, perturbation: Perturbation | None
) -> tuple[Tensor, Tensor]:
    """``E g``, ``E H u``, ``E T[u, u]``, shape ``(3, d)``, and ``E<u, v_i>^2``, shape ``(k,)``, in float64."""
    terms = torch.zeros(3, landscape.dim, dtype=torch.float64, device=landscape.device)
    squares = torch.zeros(len(vectors), dtype=torch.float64, device=landscape.device)
    every_u = []
    for m, (g, u) in enumerate(minibatch_perturbations(landscape, x, perturbation)):
        terms[0] += g / landscape.size
        squares += (vectors @ u.double()) ** 2 / landscape.size
        if isinstance(landscape, NetworkLandscape):
            terms[1] += landscape.minibatch_taylor_gradient(x, u, (0.0, 1.0), m) / landscape.size
            terms[2] += landscape.minibatch_taylor_gradient(x, u, (0.0, 0.0, 1.0), m) / landscape.size
        else:
            every_u.append(u)
    if every_u:  # small landscapes evaluate their minibatches together
        u = torch.stack(every_u)
        terms[1], terms[2] = landscape.hessian_product(x, u), landscape.third_product(x, u)
    return terms, squares


def _check(landscape: Landscape, x: Tensor, vectors: Tensor, rho: float) -> None:
    d = landscape.dim
    if x.shape != (d,):
        raise InputError(f"the point has shape {tuple(x.shape)}; expected ({d},)")
    if vectors.ndim != 2 or vectors.shape[1] != d or not len(vectors):
        raise InputError(f"the eigenvectors have shape {tuple(vectors.shape)}; expected (k, {d})")
    gram = (vectors @ vectors.mT).double().cpu()
    if not (gram - torch.eye(len(gram), dtype=torch.float64)).abs().max() < 1e-3:  # as eigenvalue_gradient asks
        raise InputError("the eigenvectors are not orthonormal; give those of an eigensolver")
    if not math.isfinite(rho):
        raise InputError(f"rho = {rho} is not a finite radius")
