"""Random vectors that are the same on every device and in every batch, and orthogonality of long vectors."""

import math

import torch
from torch import Tensor

from ...ground.errors import InputError
from .operators import SymmetricOperator

__all__ = [
    "check_pair",
    "coefficients",
    "draw_normal",
    "draw_sphere",
    "length",
    "project_out",
    "rows_at_a_time",
    "subtract",
    "working_dtype",
]

_PIECE = 2**18  # ours: entries that are summed in float32 before float64 takes over
_NUMBERS = 2**23  # ours: numbers of a batch, 64 MiB in float64
_ROWS = 32  # ours: beyond it a batched product gains little


def working_dtype(operator: SymmetricOperator) -> torch.dtype:
    """The operator's type, but float32 for half precision, in which no basis stays orthogonal."""
    return torch.promote_types(operator.dtype, torch.float32)


def draw_sphere(operator: SymmetricOperator, generator: torch.Generator) -> Tensor:
    """A vector uniform on the sphere of radius ``d^(1/2)``, shape ``(d,)``: ``E z z^T = I`` and ``|z|^2 = d``.

    What an estimate from such vectors is off by depends on the spectrum alone, so that its coverage can be measured.
    That of Rademacher vectors, which have less variance on matrices near a diagonal one, depends on eigenvectors, too:
    three of them miss the eigenvector ``(1, 1, 0, ..., 0)`` altogether in one of eight runs.

    Example:
        >>> from eigensam.landscapes.spectra.operators import FunctionOperator
        >>> round(length(draw_sphere(FunctionOperator(lambda v: v, 9), torch.Generator().manual_seed(0))), 12)
        3.0
    """
    z = torch.randn(operator.dim, generator=generator, dtype=torch.float64)
    on_sphere: Tensor = z * (math.sqrt(operator.dim) / z.norm())
    return on_sphere.to(operator.device, working_dtype(operator))


def draw_normal(operator: SymmetricOperator, generator: torch.Generator) -> Tensor:
    """A vector of independent standard normal entries, shape ``(d,)``, drawn in float64 on the CPU."""
    z = torch.randn(operator.dim, generator=generator, dtype=torch.float64)
    return z.to(operator.device, working_dtype(operator))


def check_pair(operator: SymmetricOperator, u: Tensor, au: Tensor, w: Tensor, aw: Tensor, longest: float = 0.0) -> None:
    """Refuse an operator for which ``w . A u`` is not ``u . A w``; two products that are there cost nothing more.

    Args:
        operator: ``A``.
        u: a vector, shape ``(d,)``.
        au: its product.
        w: another one.
        aw: its product.
        longest: the largest ``|A v| / |v|`` seen so far: products that vanish beside it are errors themselves.

    Raises:
        InputError: they differ by more than the errors of both products, ``operator.accuracy`` of the longest.
    """
    lengths = [length(x) for x in (u, au, w, aw)]
    if 0 in lengths:
        return
    u, au, w, aw = (x / norm for x, norm in zip((u, au, w, aw), lengths, strict=True))
    scale = max(longest, lengths[1] / lengths[0], lengths[3] / lengths[2])
    there = coefficients(w[None], au).item() * (lengths[1] / lengths[0] / scale)
    back = coefficients(u[None], aw).item() * (lengths[3] / lengths[2] / scale)
    error = 2 * max(operator.accuracy, 10 * torch.finfo(u.dtype).eps)
    if abs(there - back) > error:
        raise InputError(
            f"the operator is not symmetric or not deterministic: w.Au and u.Aw differ by {abs(there - back):.1e} of "
            f"the longest product; expected at most {error:.1e}. Switch off dropout and running batch statistics, keep "
            "the batch fixed, or give the operator the accuracy that its products have"
        )


def rows_at_a_time(operator: SymmetricOperator, batch: int | None) -> int:
    """How many vectors share a product: ``batch``, or as many as fit into a bounded memory.

    Raises:
        InputError: ``batch`` below 1.
    """
    if batch is None:
        return max(1, min(_ROWS, _NUMBERS // operator.dim))
    if batch < 1:
        raise InputError(f"batch = {batch} vectors in a product; give at least 1, or leave it out")
    return batch


def coefficients(basis: Tensor, v: Tensor) -> Tensor:
    """Inner products of the rows of ``basis`` ``(j, d)`` with ``v`` ``(d,)``: shape ``(j,)``, float64 on the CPU.

    Long sums are taken in pieces: the error of a float32 sum grows with its length, and with it the loss of
    orthogonality.

    Example:
        >>> coefficients(torch.eye(2), torch.tensor([3.0, 4.0])).tolist()
        [3.0, 4.0]
    """
    if len(v) <= _PIECE:
        return (basis @ v).cpu().double()
    pieces = zip(basis.split(_PIECE, 1), v.split(_PIECE), strict=True)
    return torch.stack([(rows @ piece).cpu().double() for rows, piece in pieces]).sum(0)


def length(v: Tensor) -> float:
    """``|v|`` of a vector of shape ``(d,)``, with the same care; also where squares of entries are no numbers.

    Example:
        >>> round(length(torch.tensor([3e-200, 4e-200], dtype=torch.float64)) * 1e200, 12)
        5.0
    """
    largest = v.abs().max().item()
    if largest == 0:
        return 0.0
    v = v / largest
    return largest * math.sqrt(coefficients(v[None], v).item())


def project_out(basis: Tensor, v: Tensor) -> Tensor:
    """``v`` less its part in the span of the orthonormal rows of ``basis``; twice, which is enough (Parlett 1998, 6.9).

    Args:
        basis: shape ``(j, d)``, ``j >= 0``.
        v: shape ``(d,)``; not changed.

    Example:
        >>> project_out(torch.tensor([[1.0, 0.0]]), torch.tensor([3.0, 4.0])).tolist()
        [0.0, 4.0]
    """
    for _ in range(2):
        v = subtract(basis, v, coefficients(basis, v))
    return v


def subtract(basis: Tensor, v: Tensor, c: Tensor) -> Tensor:
    """``v - sum_i c_i basis_i``, shape ``(d,)``."""
    return torch.addmv(v, basis.mT, c.to(v), alpha=-1)
