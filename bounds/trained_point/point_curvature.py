"""What Theorem 4.1 needs of the loss surface, measured at one point."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...landscapes.curvature.landscape_hessian import hessian
from ...landscapes.spectra.eigenpairs import Eigenpairs
from ...landscapes.spectra.estimates import Estimate
from ...landscapes.spectra.lanczos_iteration import lanczos
from ...landscapes.spectra.traces import hutchinson
from ..eigenvalue.bound import Curvature
from .directional import estimate_operator_norm, estimate_third_partial
from .sampled_point import SampledPoint

__all__ = ["PointCurvature", "measure_curvature", "unit_rows"]

_CONFIDENCE = 0.995  # ours: of the trace's interval, which is an estimate
_COORDINATES = 2  # ours: where the top eigenvector is largest


@dataclass(frozen=True)
class PointCurvature:
    """Derivatives at a point.

    Attributes:
        pairs: top eigenvalues of the Hessian, with an upper end for the first.
        trace: of the Hessian.
        hessian_lipschitz: lower estimate of ``K_3``.
        fourth_derivative: of ``K_4``.
        third_partial: of ``C``.
        fourth_moments: ``d_z^4 f(x)`` of independent ``z ~ N(0, I)``, ``(k,)``.
        checked: how products and higher derivatives were checked.
    """

    pairs: Eigenpairs
    trace: Estimate
    hessian_lipschitz: float
    fourth_derivative: float
    third_partial: float
    fourth_moments: Tensor
    checked: str

    @property
    def top_eigenvalue(self) -> float:
        """Upper end of ``lambda_1``: it holds with the probability that was spent, as far as rounding allows."""
        bound = self.pairs.bound
        assert bound is not None  # the start vector was random
        return bound.upper

    def curvature(self) -> Curvature:
        """As the theorem takes it: an estimate, with what the upper end of ``lambda_1`` spends."""
        bound = self.pairs.bound
        assert bound is not None
        moments = self.fourth_moments
        return Curvature(
            self.top_eigenvalue,
            fourth_derivative=self.fourth_derivative,
            hessian_lipschitz=self.hessian_lipschitz,
            third_partial=self.third_partial,
            fourth_moment=float(moments.mean()) if len(moments) else None,
            trace=self.trace.upper,
            eigenvalues=tuple(self.pairs.values.tolist()),
            spent=bound.delta,
        )

    def to_dict(self) -> dict[str, Any]:
        """All numbers, as JSON."""
        moments = self.fourth_moments
        spread = float(moments.std() / math.sqrt(len(moments))) if len(moments) > 1 else None
        return {
            "lambda_1_ritz": float(self.pairs.values[0]),
            "lambda_1_upper": self.top_eigenvalue,
            "eigenpairs": self.pairs.to_dict(),
            "trace": self.trace.to_dict(),
            "K_3_estimate": self.hessian_lipschitz,
            "K_4_estimate": self.fourth_derivative,
            "C_estimate": self.third_partial,
            "M_4_draws": moments.tolist(),
            "M_4_standard_error": spread,
        }


def unit_rows(vectors: Tensor) -> Tensor:
    """Rows of length 1: in float32 those of 10^7 entries that were normalised are up to 1e-3 off."""
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True, dtype=torch.float64)
    rows: Tensor = vectors / lengths.to(vectors)
    return rows


def measure_curvature(point: SampledPoint, progress: Callable[[str], None] = lambda what: None) -> PointCurvature:
    """Eigenvalues, trace, and third and fourth derivatives at a trained point.

    Args:
        point: with the settings, which say the effort, and what the upper end of ``lambda_1`` may spend.
        progress: called with what is being computed.
    """
    landscape, x, settings, few = point.landscape, point.x, point.settings, point.of_few
    operator = hessian(landscape, x)
    spent = settings.delta * settings.eigenvalue_share
    count = min(settings.top, settings.max_products, landscape.dim)
    pairs = lanczos(
        operator,
        count,
        max_products=settings.max_products,
        seed=settings.seed,
        delta=spent,
        callback=lambda products, value, residual: progress(f"eigenvalues: {products} of {settings.max_products}"),
    )
    trace = hutchinson(
        operator,
        probes=settings.probes,
        seed=settings.seed + 1,
        confidence=_CONFIDENCE,
        callback=lambda products: progress(f"trace: {products} of {settings.probes}"),
    )
    generator = torch.Generator().manual_seed(settings.seed)
    random = torch.randn(settings.random_directions, landscape.dim, generator=generator, dtype=torch.float64)
    lengths = random.norm(dim=1)
    top = unit_rows(pairs.vectors[:1])
    directions = torch.cat([top, (random / lengths[:, None]).to(x)])
    progress("fourth derivative")
    k4, along = estimate_operator_norm(few, x, directions, order=4, ascents=settings.ascents)
    progress("third derivative")
    k3, _ = estimate_operator_norm(few, x, top, order=3, ascents=settings.ascents)
    coordinates = top[0].abs().topk(min(_COORDINATES, landscape.dim)).indices
    partial = estimate_third_partial(few, x, coordinates)
    checked = f"Hessian products: {pairs.checked}; fourth derivative: {few.derivatives.how_checked(3)}"
    return PointCurvature(pairs, trace, max(k3, partial), k4, partial, along[1:] * lengths**4, checked)
