"""The top of a Hessian's spectrum: Lanczos with full reorthogonalisation, and the power method of the paper."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import InputError
from .landscape import Landscape

__all__ = [
    "Eigenpairs",
    "alignment",
    "lanczos",
    "power_iterates",
    "power_method",
    "start_vector",
    "top_eigenpairs",
]

Operator = Callable[[Tensor], Tensor]

_FEWEST = 5  # products of a warm start


@dataclass(frozen=True)
class Eigenpairs:
    """Approximate eigenpairs, values in decreasing order.

    Attributes:
        values: Ritz values, shape ``(k,)``; each is a lower bound of the eigenvalue it approximates.
        vectors: unit Ritz vectors as rows, shape ``(k, d)``.
        residuals: ``|H v - value v|``, shape ``(k,)``; an eigenvalue lies within this distance of each value.
        hvps: number of Hessian-vector products spent.
        converged: whether every residual is below the tolerance.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    hvps: int
    converged: bool


def start_vector(dim: int, start: Tensor | None, seed: int, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """``start`` (or a random vector where it is None) scaled to length 1, shape ``(dim,)``."""
    if start is None:
        # Drawn on the CPU so that every device starts from the same vector.
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(dim, generator=generator, dtype=torch.float64)
    if start.shape != (dim,):
        raise InputError(f"start vector has shape {tuple(start.shape)}; expected ({dim},)")
    start = start.to(device, dtype)
    norm = start.norm()
    if not (torch.isfinite(norm) and norm > 0):
        raise InputError("start vector is zero or not finite; leave it out to draw one at random")
    unit: Tensor = start / norm
    return unit


def _checked(product: Tensor, hvps: int) -> Tensor:
    if not torch.isfinite(product).all():
        raise InputError(f"Hessian-vector product {hvps} is not finite; the point has diverged or the loss overflows")
    return product


def lanczos(
    operator: Operator,
    dim: int,
    k: int = 1,
    *,
    max_hvps: int = 100,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Eigenpairs:
    """The ``k`` largest *algebraic* eigenvalues of a symmetric operator, by Lanczos with full reorthogonalisation.

    After ``j`` products the Krylov basis ``V`` (``j x d``) gives the tridiagonal ``T = V H V^T``; its largest
    eigenvalues ``theta_i`` are the Ritz values, and ``|H v_i - theta_i v_i| = beta_j |s_{j,i}|`` without a further
    product. Stops when all ``k`` residuals are at most ``tolerance * max(|theta_1|, |theta_k|)``, when it is
    exhausted, or after ``max_hvps`` products. If the Krylov space closes early (repeated eigenvalues), the iteration
    goes on in a random direction orthogonal to it, at most ``k`` times. Copies of
    a repeated eigenvalue that appear only later than the tolerance is met are missed.

    Args:
        operator: ``v -> H v`` on vectors of shape ``(dim,)``.
        dim: ``d``.
        k: number of eigenpairs, ``1 <= k <= d``.
        max_hvps: most products to spend, at least ``k``; memory is at most that many vectors.
        tolerance: relative residual (ours: eigenvalue errors are of the order of its square).
        start: first vector (warm start); default random. Near an eigenvector other than the first, the residual of
            that one is small at once, so a given start spends at least 5 products before it may stop; only a random
            start is never blind to an eigenvector.
        seed: seed of the random start.
        dtype: of the basis; inner products of float32 bases are reorthogonalised twice.
        device: of the basis.

    Returns:
        Eigenpairs, ``converged=False`` where the products ran out.

    Raises:
        InputError: ``k`` or ``max_hvps`` out of range, a product that is not finite.

    Example:
        The eigenvalue of largest magnitude is not the largest one:

        >>> import torch
        >>> matrix = torch.diag(torch.tensor([1.0, -3.0], dtype=torch.float64))
        >>> round(lanczos(lambda v: matrix @ v, 2).values.item(), 12)
        1.0
    """
    if not 1 <= k <= dim:
        raise InputError(f"k = {k} eigenpairs of a {dim}-dimensional operator; expected 1 <= k <= {dim}")
    if max_hvps < k:
        raise InputError(f"max_hvps = {max_hvps} cannot give {k} eigenpairs; use at least {k}")
    if not tolerance > 0:
        raise InputError(f"tolerance = {tolerance} is not positive; give e.g. 1e-3")
    device = torch.device(device)
    length = min(max_hvps, dim)
    basis = torch.empty(min(length, 16), dim, dtype=dtype, device=device)
    alphas: list[float] = []
    betas: list[float] = []
    restarts = 0
    fresh = torch.Generator().manual_seed(seed + 1)
    v = start_vector(dim, start, seed, dtype, device)
    while True:
        j = len(alphas)
        if j == len(basis):  # double it: most runs stop long before max_hvps
            basis = torch.cat([basis, torch.empty(min(j, length - j), dim, dtype=dtype, device=device)])
        basis[j] = v
        w = _checked(operator(v).to(dtype), j + 1)
        alphas.append(float(w.double() @ v.double()))
        for _ in range(2):  # twice is enough (Parlett)
            w = w - basis[: j + 1].mT @ (basis[: j + 1] @ w)
        beta = float(w.double().norm())
        tridiagonal = torch.diag(torch.tensor(alphas, dtype=torch.float64))
        if betas:
            off = torch.tensor(betas, dtype=torch.float64)
            tridiagonal += torch.diag(off, 1) + torch.diag(off, -1)
        theta, s = torch.linalg.eigh(tridiagonal)
        theta, s = theta.flip(0)[:k], s.flip(1)[:, :k]
        residuals = beta * s[-1].abs()
        scale = max(abs(float(theta[0])), abs(float(theta[-1])))
        done = len(theta) == k and bool((residuals <= tolerance * scale).all())
        # A closed Krylov space proves nothing about eigenvectors orthogonal to the start: look once more outside.
        closed = beta <= 10 * torch.finfo(dtype).eps * max(map(abs, alphas + betas), default=0.0)
        early = start is not None and j + 1 < _FEWEST
        if j + 1 == length or (done and not early and not (closed and restarts < k)):
            break
        if closed:
            restarts += 1
            v = torch.randn(dim, generator=fresh, dtype=torch.float64).to(device, dtype)
            for _ in range(2):
                v = v - basis[: j + 1].mT @ (basis[: j + 1] @ v)
            v, beta = v / v.norm(), 0.0
        else:
            v = w / beta
        betas.append(beta)
    vectors = s.mT.to(device, dtype) @ basis[: len(alphas)]
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    return Eigenpairs(theta, vectors, residuals, len(alphas), done or len(alphas) == dim)


def power_iterates(operator: Operator, v: Tensor, shift: float = 0.0) -> Iterator[tuple[Tensor, Tensor]]:
    """Unit iterates ``v`` and their products ``H v``, one product each; ends where the iteration hits zero.

    Example:
        >>> import torch
        >>> matrix = torch.diag(torch.tensor([2.0, 1.0]))
        >>> steps = power_iterates(lambda v: matrix @ v, torch.tensor([0.6, 0.8]))
        >>> [round(float(v @ product), 3) for (v, product), _ in zip(steps, range(3))]
        [1.36, 1.692, 1.9]
    """
    count = 0
    while True:
        count += 1
        product = _checked(operator(v).to(v), count)
        yield v, product
        shifted = product + shift * v
        norm = shifted.norm()
        if norm == 0:
            return
        v = shifted / norm


def power_method(
    operator: Operator,
    dim: int,
    iterations: int = 5,
    *,
    shift: float = 0.0,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Eigenpairs:
    """The eigenvalue of largest *magnitude*: ``v <- H v / |H v|`` (the paper, Algorithm 1).

    Convergence is geometric with ratio ``|lambda_2 / lambda_1|`` (in magnitude). It finds ``-3`` in ``diag(1, -3)``;
    a positive ``shift``, ``v <- (H + shift) v / |...|``, of at least ``|lambda_min|`` makes it find the largest one.

    Args:
        operator: ``v -> H v``.
        dim: ``d``.
        iterations: products to spend, at least 1 (paper: 5).
        shift: added to the spectrum during the iteration, removed from the value.
        tolerance: relative residual for the converged flag.
        start: first vector; default random.
        seed: seed of the random start.
        dtype: of the vectors.
        device: of the vectors.

    Returns:
        One eigenpair: the vector *before* the last product, with its Rayleigh quotient and residual, so that no
        product is wasted on checking.

    Example:
        >>> import torch
        >>> matrix = torch.diag(torch.tensor([1.0, -3.0], dtype=torch.float64))
        >>> round(power_method(lambda v: matrix @ v, 2, 30).values.item(), 6)
        -3.0
        >>> round(power_method(lambda v: matrix @ v, 2, 60, shift=4.0).values.item(), 6)
        1.0
    """
    if iterations < 1:
        raise InputError(f"iterations = {iterations}; the power method needs at least 1")
    device = torch.device(device)
    first = start_vector(dim, start, seed, dtype, device)
    steps = zip(range(1, iterations + 1), power_iterates(operator, first, shift), strict=False)
    for hvps, (v, product) in steps:  # noqa: B007 (the last ones count)
        pass
    value = v.double() @ product.double()
    residual = (product - value.to(dtype) * v).double().norm()
    converged = bool(residual <= tolerance * abs(value))
    return Eigenpairs(value[None].cpu(), v[None], residual[None].cpu(), hvps, converged)


def top_eigenpairs(
    landscape: Landscape,
    x: Tensor,
    k: int = 1,
    *,
    max_hvps: int = 100,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """Largest algebraic eigenpairs of the Hessian of the mean loss at ``x`` (``(d,)``), by :func:`lanczos`.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Valley, top_eigenpairs
        >>> f = Valley(flat=1.0, sharp=5.0)
        >>> round(top_eigenpairs(f, torch.zeros(2, dtype=torch.float64)).values.item(), 10)
        1.0
    """
    return lanczos(
        lambda v: landscape.hessian_product(x, v),
        landscape.dim,
        k,
        max_hvps=max_hvps,
        tolerance=tolerance,
        start=start,
        seed=seed,
        dtype=landscape.dtype,
        device=landscape.device,
    )


def alignment(u: Tensor, v: Tensor) -> Tensor:
    """``|<u/|u|, v>|`` of perturbations ``u``, shape ``(..., d)``, with a unit vector ``v``, shape ``(d,)``.

    Example:
        >>> import torch
        >>> round(alignment(torch.tensor([3.0, -4.0]), torch.tensor([0.0, 1.0])).item(), 6)
        0.8
    """
    cosine: Tensor = (u @ v).abs() / torch.linalg.vector_norm(u, dim=-1)
    return cosine
