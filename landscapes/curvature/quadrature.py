"""Stochastic Lanczos quadrature: Gauss quadratures of the spectral measures of random probes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError
from .operators import SymmetricOperator
from .probes import coefficients, draw_signs, length, subtract, working_dtype

__all__ = ["Quadrature", "as_quadrature", "lanczos_quadrature"]

PROBES = 10  # ours: a standard error that is itself known to about a quarter, 1 / sqrt(2 (n - 1))
STEPS = 40  # ours: resolves a fortieth of the range
_CLOSED = 100  # ours: units of rounding at which a Krylov space is closed; a smaller step is the error of a product


@dataclass(frozen=True)
class Quadrature:
    """Nodes and weights, one row for each probe; ``sum_i weights_i f(nodes_i) = z^T f(A) z / d``.

    Exact for polynomials ``f`` of degree at most ``2 m - 1``.

    Attributes:
        nodes: Ritz values, shape ``(probes, m)``, float64 on the CPU, increasing. Where the Krylov space of a probe
            closed early the last node is repeated with weight 0.
        weights: at least 0 and of sum 1 in each row, shape ``(probes, m)``.
        dim: ``d``.
        products: number of products with the operator spent.
    """

    nodes: Tensor
    weights: Tensor
    dim: int
    products: int

    def traces(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """One estimate of ``tr f(A)`` for each probe, shape ``(probes,)``; independent of each other.

        Args:
            function: ``f``, entry by entry, on tensors of float64.

        Raises:
            InputError: values of another shape than the nodes, or not finite.

        Example:
            >>> node = Quadrature(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.5, 0.5]]), dim=2, products=2)
            >>> node.traces(torch.square).tolist()
            [10.0]
        """
        values = function(self.nodes)
        if not isinstance(values, Tensor) or values.shape != self.nodes.shape:
            found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise InputError(
                f"the function gives {found} for nodes of shape {tuple(self.nodes.shape)}; expected a tensor of that "
                f"shape, as torch.exp gives"
            )
        wrong = ~torch.isfinite(values)
        if wrong.any():
            lower, upper = self.nodes.min().item(), self.nodes.max().item()
            raise InputError(
                f"the function gives {values[wrong][0].item()} at {self.nodes[wrong][0].item():g}; expected finite "
                f"values on the whole spectrum, here at least [{lower:g}, {upper:g}]: shift or clamp its argument"
            )
        return self.dim * (self.weights * values).sum(-1)


def _recurrence(
    operator: SymmetricOperator, start: Tensor, basis: Tensor, callback: Callable[[], object]
) -> tuple[list[float], list[float]]:
    """Diagonal and off-diagonal of the tridiagonal matrix of a unit start vector; overwrites ``basis`` ``(m, d)``."""
    alphas: list[float] = []
    betas: list[float] = []
    eps = torch.finfo(basis.dtype).eps
    scale = asymmetry = 0.0
    v = start
    for j in range(len(basis)):
        basis[j] = v
        w = operator @ basis[j]
        callback()
        seen = basis[: j + 1]
        h = coefficients(seen, w)
        w = subtract(seen, w, h)
        w = subtract(seen, w, coefficients(seen, w))  # twice is enough (Parlett 1998, 6.9)
        beta = length(w)
        scale = max(scale, math.hypot(h.norm().item(), beta))
        alphas.append(h[j].item())
        if j:
            # v_i . A v_j was seen from the other side as v_j . A v_i: 0, and beta for the neighbour.
            h[j - 1] -= betas[-1]
            asymmetry = max(asymmetry, h[:j].abs().max().item())
        if j + 1 == len(basis) or beta <= _CLOSED * eps * scale:
            break
        betas.append(beta)
        v = w / beta
    # At the end, for early products of a random vector are short beside the largest eigenvalue, and so is no yardstick.
    error = max(operator.accuracy, 10 * eps)  # inner products are rounded, too
    if asymmetry > 2 * error * scale:  # two products differ by at most the errors of both
        raise InputError(
            f"the operator is not symmetric or not deterministic: v.Aw and w.Av differ by {asymmetry / scale:.1e} of "
            f"the longest product; expected at most {2 * error:.1e}. Switch off dropout and running batch statistics, "
            f"keep the batch fixed, or give the operator the accuracy that its products have"
        )
    return alphas, betas


def lanczos_quadrature(
    operator: SymmetricOperator,
    *,
    probes: int = PROBES,
    steps: int = STEPS,
    seed: int = 0,
    callback: Callable[[int], object] | None = None,
) -> Quadrature:
    """Stochastic Lanczos quadrature: ``m`` Lanczos steps with full reorthogonalisation from each random probe.

    With ``T = S diag(theta) S^T`` the tridiagonal matrix of a probe ``z``, nodes are ``theta_i`` and weights
    ``S_{1i}^2``: the Gauss quadrature of the measure ``mu_z = sum_j (z . u_j)^2 / d delta_{lambda_j}``, whose mean over
    ``z`` is the spectral distribution of ``A``.

    Probes are Rademacher vectors: ``|z|^2 = d``, so that weights sum to 1 without a random scale, and
    ``z^T f(A) z`` has variance ``2 sum_{i != j} f(A)_{ij}^2``, never above ``2 |f(A)|_F^2`` of a Gaussian probe.

    Args:
        operator: ``A``. Its ``accuracy`` decides what asymmetry is.
        probes: number of probes, at least 1 (2 for intervals).
        steps: most products for one probe, at least 1; ``m = min(steps, d)``. Memory is ``m + 3`` vectors.
        seed: seed of the probes; the first ones of a longer run are the same.
        callback: called after each product with the number of products so far.

    Returns:
        Quadrature of shape ``(probes, m)``.

    Raises:
        InputError: ``probes`` or ``steps`` below 1; a product that is not finite; an operator that is not symmetric or
            not deterministic (seen from the second step on).

    Reference:
        Ubaru, Chen, Saad 2017, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature"; Golub and
        Welsch 1969 for the weights.

    Example:
        >>> from eigensam.landscapes.curvature.operators import DenseOperator
        >>> matrix = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
        >>> quadrature = lanczos_quadrature(DenseOperator(matrix), probes=4)
        >>> sorted({round(node) for node in quadrature.nodes.flatten().tolist()})  # (1, 1) and (1, -1) are eigenvectors
        [1, 3]
    """
    for name, value in (("probes", probes), ("steps", steps)):
        if value < 1:
            raise InputError(f"{name} = {value}; expected at least 1")
    width = min(steps, operator.dim)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.empty(width, operator.dim, dtype=working_dtype(operator), device=operator.device)
    nodes = torch.empty(probes, width, dtype=torch.float64)
    weights = torch.zeros(probes, width, dtype=torch.float64)
    products = 0

    def count() -> None:
        nonlocal products
        products += 1
        if callback is not None:
            callback(products)

    for probe in range(probes):
        start = draw_signs(operator, generator) / math.sqrt(operator.dim)
        alphas, betas = _recurrence(operator, start, basis, count)
        off = torch.tensor(betas, dtype=torch.float64)
        tridiagonal = torch.diag(torch.tensor(alphas, dtype=torch.float64)) + torch.diag(off, 1) + torch.diag(off, -1)
        theta, s = torch.linalg.eigh(tridiagonal)
        nodes[probe] = theta[-1]
        nodes[probe, : len(theta)] = theta
        weights[probe, : len(theta)] = s[0] ** 2 / (s[0] ** 2).sum()
    return Quadrature(nodes, weights, operator.dim, products)


def as_quadrature(
    source: SymmetricOperator | Quadrature,
    probes: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    callback: Callable[[int], object] | None = None,
) -> Quadrature:
    """The quadrature that is given, or that of an operator; None stands for the defaults of ``lanczos_quadrature``.

    Raises:
        InputError: settings beside a quadrature that is already made.
    """
    if isinstance(source, SymmetricOperator):
        return lanczos_quadrature(
            source,
            probes=PROBES if probes is None else probes,
            steps=STEPS if steps is None else steps,
            seed=0 if seed is None else seed,
            callback=callback,
        )
    if probes is not None or steps is not None or seed is not None:
        raise InputError("probes, steps and seed belong to an operator; this quadrature is made, leave them out")
    return source
