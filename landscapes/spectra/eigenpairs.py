"""What every eigensolver returns, and what all of them start from."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from .lengths import length_of
from .operators import SymmetricOperator
from .spectrum_bound import SpectrumBound

__all__ = ["Eigenpairs", "random_vector", "start_vector"]


@dataclass(frozen=True)
class Eigenpairs:
    """Approximate eigenpairs.

    Attributes:
        values: Ritz values, shape ``(k,)``, float64 on the CPU: in decreasing order for the largest (each a lower bound
            of the eigenvalue of the same rank), increasing for the smallest (each an upper bound); for both ends the
            largest come first, then the smallest, each in its order.
        vectors: unit Ritz vectors as rows, shape ``(k, d)``.
        residuals: ``|A v - value v|``, shape ``(k,)``, float64 on the CPU; an eigenvalue lies within this distance of
            each value.
        products: number of products with the operator spent.
        converged: whether the solver's own rule was met, and, where it checks that, no others lie beyond the values.
        bound: an interval for the whole spectrum, where the start vector was random; else None.
        checked: whether and how it was checked that the operator's products are right.
        rest: where the solver checks it, an interval for all eigenvalues but the ``k`` found (at each end, for both):
            at most ``k`` lie above ``rest.upper``, or below ``rest.lower``. Copies of a repeated eigenvalue count.
        missing: what is missing where it has not converged, in words; else empty.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    products: int
    converged: bool
    bound: SpectrumBound | None = None
    checked: str = "not checked"
    rest: SpectrumBound | None = None
    missing: str = ""

    def __repr__(self) -> str:
        rows = zip(self.values.tolist(), self.residuals.tolist(), strict=True)
        lines = [f"{i:>4}  {value:<14.6g}  +- {residual:.2g}" for i, (value, residual) in enumerate(rows, 1)]
        state = "converged" if self.converged else f"NOT converged: {self.missing}"
        lines.append(f"{self.products} products, {state}; {self.checked}")
        if self.bound is not None:
            lines.append(f"whole spectrum in {self.bound}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All but the vectors, as JSON."""
        return {
            "eigenvalues": self.values.tolist(),
            "residuals": self.residuals.tolist(),
            "products": self.products,
            "converged": self.converged,
            "missing": self.missing,
            "checked": self.checked,
            "bound": None if self.bound is None else self.bound.to_dict(),
            "rest": None if self.rest is None else self.rest.to_dict(),
        }


def random_vector(dim: int, seed: int, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Uniform on the unit sphere, shape ``(dim,)``; drawn on the CPU so that every device gets the same vector."""
    v = torch.randn(dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    unit: Tensor = (v / v.norm()).to(device, dtype)
    return unit


def start_vector(operator: SymmetricOperator, start: Tensor | None, seed: int) -> Tensor:
    """``start`` (or a random vector where it is None) scaled to length 1, shape ``(d,)``."""
    if start is None:
        return random_vector(operator.dim, seed, operator.dtype, operator.device)
    if not isinstance(start, Tensor) or start.is_complex():
        found = f"of {start.dtype}" if isinstance(start, Tensor) else f"a {type(start).__name__}"
        raise InputError(f"start vector is {found}; expected a real tensor of shape ({operator.dim},)")
    if start.shape != (operator.dim,):
        raise InputError(f"start vector has shape {tuple(start.shape)}; expected ({operator.dim},)")
    start = start.to(operator.device, operator.dtype)
    norm = length_of(start)
    if not (torch.isfinite(norm) and norm > 0):
        raise InputError("start vector is zero or not finite; leave it out to draw one at random")
    unit: Tensor = start / norm
    return unit
