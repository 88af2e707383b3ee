"""Stochastic Lanczos quadrature: Gauss quadratures of the spectral measures of random probes."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...ground.errors import InputError
from .operators import SymmetricOperator
from .probes import coefficients, draw_sphere, length, rows_at_a_time, subtract, working_dtype
from .quadrature import Quadrature
from .request import check_operator, check_whole

__all__ = ["as_quadrature", "lanczos_quadrature"]


PROBES = 10  # ours: a standard error that is itself known to about a quarter, 1 / sqrt(2 (n - 1))
STEPS = 40  # ours: resolves a fortieth of the range
_DENSE = 3000  # ours: some seconds for all eigenvalues, 72 MB
_CLOSED = 100  # ours: units of rounding at which a Krylov space is closed; a smaller step is the error of a product


def _recurrence(
    operator: SymmetricOperator, start: Tensor, basis: Tensor, callback: Callable[[], object]
) -> tuple[list[float], list[float]]:
    """Diagonal and off-diagonal of the tridiagonal matrix of a unit start vector; overwrites ``basis`` ``(m, d)``.

    As many of both, the last off-diagonal entry being that of what is left; 0 where the Krylov space has closed.
    """
    alphas: list[float] = []
    betas: list[float] = []
    eps = torch.finfo(basis.dtype).eps
    scale = asymmetry = 0.0
    v = start
    for j in range(len(basis)):
        basis[j] = v
        w = operator @ basis[j]
        callback()
        scale = max(scale, length(w))
        seen = basis[: j + 1]
        h = coefficients(seen, w)
        w = subtract(seen, w, h)
        w = subtract(seen, w, coefficients(seen, w))  # twice is enough (Parlett 1998, 6.9)
        beta = length(w)
        alphas.append(h[j].item())
        if j:
            # v_i . A v_j was seen from the other side as v_j . A v_i: 0, and beta for the neighbour.
            h[j - 1] -= betas[-1]
            asymmetry = max(asymmetry, h[:j].abs().max().item())
        if j + 1 == operator.dim or beta <= _CLOSED * eps * scale:
            betas.append(0.0)
            break
        betas.append(beta)
        v = w / beta
    # At the end, for early products of a random vector are short beside the largest eigenvalue, and so is no yardstick.
    error = max(operator.accuracy, 10 * eps)  # inner products are rounded, too
    _check_symmetry(asymmetry, error, scale)
    return alphas, betas


def _check_symmetry(asymmetry: float, error: float, scale: float) -> None:
    """Refuse products that differ from each other by more than their errors allow.

    The threshold is the accuracy itself, not its root as in :meth:`KrylovBasis.check_symmetry`: here ``scale`` is the
    longest of all products of a probe, there the entries so far, which may be short beside the largest eigenvalue.
    """
    if asymmetry > 2 * error * scale:  # two products differ by at most the errors of both
        raise InputError(
            f"the operator is not symmetric or not deterministic: v.Aw and w.Av differ by {asymmetry / scale:.1e} of "
            f"the longest product; expected at most {2 * error:.1e}. Switch off dropout and running batch statistics, "
            f"keep the batch fixed, or give the operator the accuracy that its products have"
        )


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

    Probes are uniform on the sphere of radius ``d^(1/2)``, so that weights sum to 1 without a random scale.

    Where ``d <= probes * steps`` (ours: and ``d <= 3000``, beyond which eigenvalues of a dense matrix would cost more
    than many products), ``d`` products give the matrix itself and all eigenvalues: nothing is sampled.

    Args:
        operator: ``A``. Its ``accuracy`` decides what asymmetry is.
        probes: number of probes, at least 1 (2 for intervals).
        steps: most products for one probe, at least 1; ``m = min(steps, d)``. Memory is ``m + 3`` vectors.
        seed: seed of the probes; the first ones of a longer run are the same.
        callback: called after each product with the number of products so far.

    Returns:
        Quadrature of shape ``(probes, m)``, or an exact one of shape ``(1, d)``.

    Raises:
        InputError: ``probes`` or ``steps`` below 1; a product that is not finite; an operator that is not symmetric or
            not deterministic (seen from the second step on).

    Reference:
        Ubaru, Chen, Saad 2017, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature"; Golub and
        Welsch 1969 for the weights; Golub and Meurant 2010, "Matrices, Moments and Quadrature", 6.2 for Gauss-Radau.

    Example:
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> matrix = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
        >>> quadrature = lanczos_quadrature(DenseOperator(matrix), probes=4)
        >>> [round(node) for node in quadrature.nodes.flatten().tolist()], quadrature.products, quadrature.exact
        ([1, 3], 2, True)
    """
    check_operator(operator)
    check_whole(probes=probes, steps=steps, seed=seed)
    for name, value in (("probes", probes), ("steps", steps)):
        if value < 1:
            raise InputError(f"{name} = {value}; expected at least 1")
    if operator.dim <= min(probes * steps, _DENSE):
        return _exact(operator, callback)
    return _sampled(operator, probes, steps, seed, callback)


def _exact(operator: SymmetricOperator, callback: Callable[[int], object] | None) -> Quadrature:
    """All eigenvalues, by ``d`` products."""
    dim, together = operator.dim, rows_at_a_time(operator, None)
    dtype = working_dtype(operator)
    matrix = torch.empty(dim, dim, dtype=torch.float64)
    for first in range(0, dim, together):
        last = min(first + together, dim)
        rows = torch.zeros(last - first, dim, dtype=dtype, device=operator.device)
        rows[torch.arange(last - first), torch.arange(first, last)] = 1
        matrix[first:last] = (operator @ rows).cpu().double()
        if callback is not None:
            for count in range(first + 1, last + 1):
                callback(count)
    scale = max(length(row) for row in matrix)
    error = max(operator.accuracy, 10 * torch.finfo(dtype).eps)
    _check_symmetry((matrix - matrix.mT).abs().max().item(), error, scale)
    nodes = torch.linalg.eigvalsh((matrix + matrix.mT) / 2)[None]
    return Quadrature(nodes, torch.full_like(nodes, 1 / dim), dim, dim, exact=True)


def _sampled(
    operator: SymmetricOperator, probes: int, steps: int, seed: int, callback: Callable[[int], object] | None
) -> Quadrature:
    width = min(steps, operator.dim)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.empty(width, operator.dim, dtype=working_dtype(operator), device=operator.device)
    products = 0

    def count() -> None:
        nonlocal products
        products += 1
        if callback is not None:
            callback(products)

    root = math.sqrt(operator.dim)
    found = [_recurrence(operator, draw_sphere(operator, generator) / root, basis, count) for _ in range(probes)]

    def rule(most: int) -> Quadrature:
        """The Gauss rule of at most so many steps; one whose Krylov space has closed has no error, and stays."""
        nodes = torch.empty(probes, width, dtype=torch.float64)
        weights = torch.zeros(probes, width, dtype=torch.float64)
        for probe, (alphas, betas) in enumerate(found):
            kept = len(alphas) if betas[-1] == 0 else min(most, len(alphas))
            theta, shares = _gauss(alphas[:kept], betas[: kept - 1])
            nodes[probe] = theta[-1]
            nodes[probe, :kept], weights[probe, :kept] = theta, shares
        return Quadrature(nodes, weights, operator.dim, products)

    coarser = tuple(rule(steps) for steps in range(max(1, width // 2), width))
    lower = None
    if operator.semidefinite:
        nodes = torch.empty(probes, width + 1, dtype=torch.float64)
        weights = torch.zeros(probes, width + 1, dtype=torch.float64)
        for probe, (alphas, betas) in enumerate(found):
            theta, shares = _radau(alphas, betas, operator.accuracy)
            nodes[probe] = theta[-1]
            nodes[probe, : len(theta)], weights[probe, : len(theta)] = theta, shares
        lower = Quadrature(nodes, weights, operator.dim, products)
    gauss = rule(width)
    return Quadrature(gauss.nodes, gauss.weights, operator.dim, products, coarser=coarser, lower=lower)


def _gauss(alphas: list[float], betas: list[float]) -> tuple[Tensor, Tensor]:
    """Nodes and weights of a tridiagonal matrix (Golub and Welsch)."""
    off = torch.tensor(betas, dtype=torch.float64)
    tridiagonal = torch.diag(torch.tensor(alphas, dtype=torch.float64)) + torch.diag(off, 1) + torch.diag(off, -1)
    theta, s = torch.linalg.eigh(tridiagonal)
    weights: Tensor = s[0].square() / s[0].square().sum()
    return theta, weights


def _radau(alphas: list[float], betas: list[float], accuracy: float) -> tuple[Tensor, Tensor]:
    """The rule with one more node, at 0 less rounding (nodes at 0 itself would make the system singular)."""
    if betas[-1] == 0:
        return _gauss(alphas, betas[:-1])
    end = -accuracy * max(map(abs, alphas + betas))
    # The last pivot of T - end I, by its continued fraction: the new diagonal entry makes ``end`` an eigenvalue.
    pivot = alphas[0] - end
    for alpha, beta in zip(alphas[1:], betas[:-1], strict=True):
        pivot = alpha - end - beta * (beta / pivot)
    return _gauss([*alphas, end + betas[-1] * (betas[-1] / pivot)], betas)


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
    if not isinstance(source, Quadrature):
        check_operator(source)
    if probes is not None or steps is not None or seed is not None:
        raise InputError("probes, steps and seed belong to an operator; this quadrature is made, leave them out")
    return source
