"""The cells of the order table: each rule, exponent and truncation, predicted and measured."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import torch

from ...landscapes.analytic.torus import TiltedTorus
from ...sde.derivation.derived_sde import SDE, truncate
from ...sde.rules.finding import find_memoryless
from ...sde.weak_order.claim import Progress
from ...sde.weak_order.torus import verify_on_torus

__all__ = [
    "EXPONENTS",
    "TABLE_ETAS",
    "Cell",
    "Entry",
    "cells",
    "measure_cell",
    "measure_table",
]

RULE_NAMES = ("sgd", "usam", "sam", "dnsam", "eigen-sam", "sam-2-step")
EXPONENTS = ("1/3", "1/2", "2/3", "1")
TABLE_ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(9, 16, 2))
"""Ours: small enough for every slope to be within 0.05 of its limit."""

_VALUES: Mapping[str, Any] = {"alpha": 0.2, "v": torch.tensor([1.0, 0.0], dtype=torch.float64)}
"""Of Eigen-SAM: ``v`` along the tilts, so that ``<g, v>`` does not change its sign."""


@dataclass(frozen=True)
class Cell:
    """One SDE of the table.

    Attributes:
        rule: its name.
        rho_exponent: ``beta``.
        weak_order: the order aimed at: for 2, ``b_1`` and the covariance keep what order 2 needs; for 1, the
            covariance keeps what the drift keeps.
        drift_order: the drift keeps ``rho^0 .. rho^{drift_order - 1}``.
    """

    rule: str
    rho_exponent: str
    weak_order: int
    drift_order: int

    def sde(self) -> SDE:
        """Truncated as the cell says."""
        rule, beta = find_memoryless(self.rule), Fraction(self.rho_exponent)
        if self.weak_order == 1:
            return truncate(rule, beta, self.drift_order)
        second = math.ceil(1 / beta)
        return truncate(rule, beta, self.drift_order, covariance_order=second, correction_order=second)


@dataclass(frozen=True)
class Entry:
    """A cell with its numbers.

    Attributes:
        cell: which.
        predicted: the order that the proof finds, exact.
        slope: the last one measured on the torus.
        tolerance: accepted distance between both: 0.05, and 0.1 for order 2.
        error: weak error at the smallest step size.
        discretisation: its relative change from a coarser grid.
        verdict: ``pass``, ``fail`` or ``inconclusive``.
    """

    cell: Cell
    predicted: Fraction
    slope: float
    tolerance: float
    error: float
    discretisation: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary, the cell's settings among the rest."""
        result = asdict(self)
        settings: dict[str, Any] = result.pop("cell")
        return settings | result | {"predicted": str(self.predicted)}


def cells() -> Iterator[Cell]:
    """All cells; SGD has no power of ``rho``."""
    for rule in RULE_NAMES:
        for exponent in EXPONENTS:
            for weak_order in (1, 2):
                for drift_order in (1,) if rule == "sgd" else (1, 2, 3):
                    yield Cell(rule, exponent, weak_order, drift_order)


def measure_cell(cell: Cell, landscape: TiltedTorus | None = None) -> Entry:
    """Predict and measure one cell, on ``TiltedTorus.default(2)`` unless another landscape is given.

    Example:
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.paper_figures.measurements.order_cells import Cell, measure_cell
        >>> entry = measure_cell(Cell("sam", "1/3", weak_order=1, drift_order=3), TiltedTorus.default(1))
        >>> entry.predicted, entry.verdict
        (Fraction(1, 1), 'pass')
    """
    sde = cell.sde()
    landscape = TiltedTorus.default(2) if landscape is None else landscape
    values = {name: _VALUES[name] for name in sde.rule.parameters}
    for name in sde.rule.directions:
        values[name] = _VALUES[name] if landscape.dim == 2 else torch.eye(landscape.dim, dtype=torch.float64)[0]
    found = verify_on_torus(sde, landscape=landscape, etas=TABLE_ETAS, values=values)
    return Entry(
        cell,
        sde.weak_order,
        found.slope,
        found.tolerance,
        found.errors[-1],
        found.details["discretisation"],
        found.verdict,
    )


def measure_table(progress: Progress = lambda done, total: None) -> list[Entry]:
    """Every cell, about a second each."""
    every = list(cells())
    result = []
    for index, cell in enumerate(every):
        result.append(measure_cell(cell))
        progress(index + 1, len(every))
    return result
