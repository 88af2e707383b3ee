"""The power method on matrices so small that each step can be followed by hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...landscapes.spectra.power_iteration import power_iterates

__all__ = ["EXAMPLES", "Example", "power_steps"]


@dataclass(frozen=True)
class Example:
    """A symmetric matrix of two rows, and what is added to its diagonal while it is iterated.

    Attributes:
        name: in pictures and tables.
        matrix: its rows.
        shift: added to both eigenvalues during the iteration.
    """

    name: str
    matrix: tuple[tuple[float, float], tuple[float, float]]
    shift: float = 0.0


EXAMPLES = (
    Example("at a minimum", ((2.0, 1.0), (1.0, 2.0))),
    Example("at a saddle", ((-1.0, 3.0), (3.0, -1.0))),
    Example("at the saddle, with a shift", ((-1.0, 3.0), (3.0, -1.0)), shift=6.0),
)
"""Ours: whole numbers, with eigenvectors along the diagonals: eigenvalues 3 and 1, then 2 and -4, then these plus 6."""


def power_steps(example: Example, steps: int, start: Sequence[float] = (1.0, 0.0)) -> dict[str, Any]:
    """Iterate ``w = (A + shift) v, v <- w/|w|`` from a start vector, with the code that Eigen-SAM uses.

    Args:
        example: the matrix.
        steps: products, at least 1.
        start: unit vector, not an eigenvector.

    Returns:
        ``name``, ``matrix``, ``shift``, ``eigenvalues`` (of ``A``, decreasing), ``limit`` (the place of the eigenvalue
        whose eigenvector is approached: that of largest magnitude with the shift), ``vector`` (that eigenvector), and
        ``steps``: for the start and after each product ``v``, ``product`` (``w``), ``norm`` (``|w|``), ``rayleigh``
        (``v^T A v``) and ``error``, the tangent of the angle between ``v`` and the eigenvector. The tangent shrinks by
        ``|lambda_2 + shift| / |lambda_1 + shift|`` in each step, exactly.

    Example:
        >>> found = power_steps(EXAMPLES[0], 2)
        >>> [[round(x, 4) for x in step["v"]] for step in found["steps"]]
        [[1.0, 0.0], [0.8944, 0.4472], [0.7809, 0.6247]]
        >>> [round(step["error"], 6) for step in found["steps"]]
        [1.0, 0.333333, 0.111111]
    """
    matrix = torch.tensor(example.matrix, dtype=torch.float64)
    shifted = matrix + example.shift * torch.eye(2, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(matrix)
    values, vectors = values.flip(0), vectors.flip(1)
    limit = int((values + example.shift).abs().argmax())
    wanted, other = vectors[:, limit], vectors[:, 1 - limit]
    first = torch.tensor(start, dtype=torch.float64)
    rows = []
    for (v, product), _ in zip(power_iterates(shifted, first), range(steps + 1), strict=False):
        rows.append(
            {
                "v": v.tolist(),
                "product": product.tolist(),
                "norm": float(product.norm()),
                "rayleigh": float(v @ matrix @ v),
                "error": abs(float(v @ other)) / max(abs(float(v @ wanted)), math.ulp(0.0)),
            }
        )
    sign = 1 if float(wanted @ first) >= 0 else -1
    return {
        "name": example.name,
        "matrix": [list(row) for row in example.matrix],
        "shift": example.shift,
        "eigenvalues": values.tolist(),
        "limit": limit,
        "vector": (sign * wanted).tolist(),
        "steps": rows,
    }
