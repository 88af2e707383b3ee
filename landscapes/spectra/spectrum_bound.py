"""An interval for eigenvalues, which knows whether it is a certificate."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

__all__ = ["SpectrumBound", "certainty_of_products"]

Kind = Literal["certificate", "estimate"]


@dataclass(frozen=True)
class SpectrumBound:
    """An interval that holds the whole spectrum with a stated probability (over the random start vector).

    Attributes:
        lower: not above the smallest eigenvalue.
        upper: not below the largest eigenvalue.
        delta: both hold with probability at least ``1 - delta``, in exact arithmetic.
        kind: ``certificate`` where that is proven; ``estimate`` where rounding is too coarse to rely on the proof.
        why: what decides the kind, in words that follow it: "up to rounding".

    Example:
        >>> SpectrumBound(-1.0, 2.0, 0.05)
        [-1, 2] but for a probability of 0.05 (certificate in exact arithmetic)
    """

    lower: float
    upper: float
    delta: float
    kind: Kind = "certificate"
    why: str = "in exact arithmetic"

    def __repr__(self) -> str:
        return f"[{self.lower:.6g}, {self.upper:.6g}] but for a probability of {self.delta:g} ({self.kind} {self.why})"

    def to_dict(self) -> dict[str, Any]:
        """The ends, ``delta`` and the kind, as JSON."""
        return {key: value for key, value in asdict(self).items() if key != "why"}


def certainty_of_products(dtype: torch.dtype) -> tuple[Kind, str]:
    """``kind`` and ``why`` of a bound that rests on products of this type.

    In float64 the rounding of products, and what it moves eigenvalues by, lies far below every margin; in a narrower
    type it is of the size of the margins themselves, and the proof says nothing of it.

    Example:
        >>> certainty_of_products(torch.float64)[0], certainty_of_products(torch.float32)
        ('certificate', ('estimate', 'in float32'))
    """
    if dtype == torch.float64:
        return "certificate", "up to rounding"
    return "estimate", f"in {str(dtype).removeprefix('torch.')}"
