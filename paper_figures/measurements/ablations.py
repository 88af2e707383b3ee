"""Ablations that teach: what each term of an SDE is for, and what a wrong one costs.

Theory, section 3: at order 1 the noise changes the constant only, so no verification can tell a wrong covariance from a
right one there; at order 2 every term is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ...sde.algebra.sums import Sum
from ...sde.derivation.derived_sde import SDE, derive, truncate
from ...sde.rules.finding import find_memoryless
from ...sde.simulation.problems.coefficients import drift_and_covariance
from ...sde.weak_order.claim import Progress
from ...sde.weak_order.own_coefficients import CoefficientFunction
from ...sde.weak_order.plans import TorusPlan
from ...sde.weak_order.torus import verify_on_torus
from .order_cells import TABLE_ETAS

__all__ = ["Ablation", "ablations", "measure_ablations", "transposed_cholesky"]

_SMALL = 1e-14  # added to the diagonal: a covariance may be singular


@dataclass(frozen=True)
class Ablation:
    """A variant of SAM's SDE.

    Attributes:
        group: the setting; the first of a group is the whole SDE, the others are compared with it.
        change: what is different.
        sde: the variant.
        order: what the proof, or theory where the change cannot be written as an SDE of the engine, says.
        coefficients: its drift and covariance.
    """

    group: str
    change: str
    sde: SDE
    order: Fraction
    coefficients: CoefficientFunction = drift_and_covariance


def transposed_cholesky(*arguments: Any) -> tuple[Tensor, Tensor]:
    """Drift, and the covariance ``R^T R`` of a factor used transposed, where ``Sigma = R R^T``: a classical mistake."""
    drift, covariance = drift_and_covariance(*arguments)
    small = _SMALL * torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    factor = torch.linalg.cholesky(covariance + small)
    return drift, factor.mT @ factor


def ablations() -> Iterator[Ablation]:
    """SAM at ``beta = 1/3`` and order 1, and at ``beta = 2/3`` and order 2."""
    sam = find_memoryless("sam")

    def variant(group: str, change: str, sde: SDE) -> Ablation:
        return Ablation(group, change, sde, sde.weak_order)

    first, group = derive(sam, 1, "1/3"), "order 1, ρ = 0.8 η^(1/3)"
    yield variant(group, "none", first)
    yield variant(group, "without noise", truncate(sam, "1/3", 3, covariance_order=0))
    yield variant(group, "covariance at ρ⁰ only", truncate(sam, "1/3", 3, covariance_order=1))
    yield variant(group, "diffusion doubled (Σ × 4)", replace(first, covariance=_scaled(first.covariance, 2)))
    yield Ablation(group, "Cholesky factor transposed", first, Fraction(1), transposed_cholesky)
    yield variant(group, "drift without ρ²", truncate(sam, "1/3", 2, covariance_order=3))
    yield variant(group, "ρ² in the drift halved", replace(first, increments=_scaled(first.increments, "1/2", 2)))
    usam = truncate(find_memoryless("usam"), "1/3", 3)
    yield variant(group, "the SDE of USAM", replace(usam, rule=sam))

    second, group = derive(sam, 2, "2/3"), "order 2, ρ = 0.8 η^(2/3)"
    full = {"drift_order": 3, "correction_order": 2, "covariance_order": 2}
    yield variant(group, "none", second)
    for change, orders in (
        ("without noise", {"covariance_order": 0}),
        ("covariance at ρ⁰ only", {"covariance_order": 1}),
        ("without b₁", {"correction_order": 0}),
        ("b₁ at ρ⁰ only", {"correction_order": 1}),
        ("drift without ρ²", {"drift_order": 2}),
    ):
        yield variant(group, change, truncate(sam, "2/3", **full | orders))
    yield variant(group, "sign of b₁ flipped", replace(second, correction=_scaled(second.correction, -1)))
    yield variant(group, "diffusion doubled (Σ × 4)", replace(second, covariance=_scaled(second.covariance, 2)))
    yield Ablation(group, "Cholesky factor transposed", second, Fraction(1), transposed_cholesky)


def _scaled(part: Any, factor: int | str, power: int | None = None) -> dict[int, Sum]:
    """All coefficients of ``rho``, or that of one power, multiplied."""
    return {k: c * Fraction(factor) if power in (None, k) else c for k, c in part.items()}


def measure_ablations(progress: Progress = lambda done, total: None) -> list[dict[str, Any]]:
    """Slope, order of the theory, and the error at the smallest step size in units of the whole SDE's.

    Example:
        >>> from eigensam.paper_figures.measurements.ablations import ablations
        >>> [str(each.order) for each in ablations()][:3]
        ['1', '1', '1']
    """
    every = list(ablations())
    result: list[dict[str, Any]] = []
    whole: dict[str, float] = {}
    for index, each in enumerate(every):
        found = verify_on_torus(
            each.sde, etas=TABLE_ETAS, plan=TorusPlan(coefficients=each.coefficients, expected=float(each.order))
        )
        whole.setdefault(each.group, found.errors[-1])
        result.append(
            {
                "group": each.group,
                "change": each.change,
                "order": str(each.order),
                "slope": found.slope,
                "cost": found.errors[-1] / whole[each.group],
                "verdict": found.verdict,
                "etas": found.etas,
                "errors": found.errors,
            }
        )
        progress(index + 1, len(every))
    return result
