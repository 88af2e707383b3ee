"""What the loss really does under the posterior, by Monte Carlo: beside Taylor's terms, and in place of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.networks.network import NetworkLandscape
from ..concentration.kl import kl_inverse
from ..eigenvalue.bound import Bound, Kind, Term
from ..eigenvalue.inputs import check_examples, check_sigma
from ..gibbs.estimate import GibbsEstimate
from ..posteriors.isotropic_kl import gaussian_kl_interval
from ..posteriors.prior_grid import PriorGrid
from ..rounding.arguments import check_delta, check_dim
from ..rounding.intervals import intervals, lower_end, upper_end
from ..rounding.real import real_number

__all__ = ["LossAround", "loss_around", "monte_carlo_bound"]


@dataclass(frozen=True)
class LossAround:
    """``E f(x + sigma e) - f(x)`` for several sigma, from the same draws: an estimate.

    Attributes:
        sigmas: increasing.
        resolution: below which a mean cannot be told from rounding.
        increases: for each pair of draws ``+e`` and ``-e`` (whose odd terms cancel) and each sigma, ``(pairs, k)``.
    """

    sigmas: tuple[float, ...]
    increases: Tensor
    resolution: float

    @property
    def mean(self) -> list[float]:
        """Over the pairs."""
        return [float(each) for each in self.increases.mean(0)]

    @property
    def standard_error(self) -> list[float | None]:
        """Of the mean; None of a single pair."""
        if len(self.increases) < 2:
            return [None] * len(self.sigmas)
        return [float(each) for each in self.increases.std(0) / math.sqrt(len(self.increases))]

    def at(self, sigma: float) -> float:
        """The mean at another sigma, between those measured: interpolated linearly in ``ln sigma``."""
        return float(np.interp(math.log(sigma), np.log(self.sigmas), self.mean))

    def error_at(self, sigma: float) -> float | None:
        """Standard error of that; None of a single pair."""
        errors = [error for error in self.standard_error if error is not None]
        return float(np.interp(math.log(sigma), np.log(self.sigmas), errors)) if errors else None

    def to_dict(self) -> dict[str, Any]:
        """All numbers, as JSON."""
        return {
            "sigmas": list(self.sigmas),
            "increase": self.mean,
            "standard_error": self.standard_error,
            "pairs": len(self.increases),
            "resolution": self.resolution,
        }


def loss_around(
    landscape: NetworkLandscape,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    pairs: int,
    generator: torch.Generator,
    progress: Callable[[str], None] = lambda what: None,
) -> LossAround:
    """Evaluate the loss around ``x``.

    Args:
        landscape: ``f``.
        x: where, ``(d,)``.
        sigmas: standard deviations.
        pairs: of draws ``+e`` and ``-e``, at least one.
        generator: on the CPU.
        progress: called with what is being computed.

    Example:
        Of a quadratic ``|x|^2 / 2`` each pair gives ``sigma^2 |e|^2 / 2``.

        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape
        >>> model = torch.nn.Linear(2000, 1, bias=False, dtype=torch.float64)
        >>> half = lambda outputs, targets: 0.5 * (outputs**2).mean() * 2000
        >>> f = NetworkLandscape.from_tensors(model, half, torch.eye(2000, dtype=torch.float64), torch.zeros(2000))
        >>> found = loss_around(f, f.point(), [0.1, 1.0], pairs=1, generator=torch.Generator().manual_seed(0))
        >>> [round(each / 1000, 1) for each in found.mean]
        [0.0, 1.0]
    """
    ordered = tuple(sorted(sigmas))
    increases = torch.empty(pairs, len(ordered), dtype=torch.float64)
    with torch.no_grad():
        centre = float(landscape.loss(x))
        for i in range(pairs):
            e = torch.randn(landscape.dim, generator=generator, dtype=torch.float64).to(x)
            for j, sigma in enumerate(ordered):
                progress(f"loss around the point: pair {i + 1} of {pairs}, sigma {j + 1} of {len(ordered)}")
                both = float(landscape.loss(x + sigma * e)) + float(landscape.loss(x - sigma * e))
                increases[i, j] = both / 2 - centre
    return LossAround(ordered, increases, 4 * torch.finfo(landscape.dtype).eps * abs(centre))


def monte_carlo_bound(
    risk: GibbsEstimate,
    sigma: float,
    *,
    dim: int,
    squared_distance: float,
    examples: int,
    delta: float,
    kind: Kind = "certificate",
    priors: PriorGrid | None = None,
) -> Bound:
    """Theorem 4.1 with ``f_S(Q)`` by Monte Carlo in place of Taylor's terms.

    ``f_D(Q) <= kl^-1(upper, (KL_k + ln(2 sqrt(n)/delta_k))/n)``, ``upper`` a value that ``f_S(Q)`` exceeds with a
    probability that is part of ``delta``; ``bound`` is the same by Pinsker's inequality. It needs no derivative,
    so nothing about it is an estimate: with probability ``1 - delta`` over sample and draws it bounds the risk of
    ``N(x, sigma^2 I)``, if the draws were not those by which sigma was chosen.

    Args:
        risk: with the part of ``delta`` that its upper value spends.
        sigma: of the posterior.
        dim: ``d``.
        squared_distance: ``|x - x0|^2``.
        examples: ``n``.
        delta: of both together.
        kind: ``estimate`` if the network was fixed by looking at the sample in another way than through ``x``.
        priors: default as in :func:`eigenvalue_bound`.

    Raises:
        InputError: an argument out of range.

    Example:
        >>> from eigensam.bounds import GibbsEstimate
        >>> risk = GibbsEstimate("cross-entropy", 0.05, 0.08, 0.005, 60_000, 200, 200, 1e-8)
        >>> found = monte_carlo_bound(risk, 0.1, dim=100, squared_distance=1.0, examples=60_000, delta=0.05)
        >>> found.kind, round(found.bound_kl, 3)
        ('certificate', 0.092)
    """
    iv, n, sigma = intervals(), check_examples(examples), check_sigma(sigma)
    delta, dim = check_delta(delta), check_dim(dim)
    distance = real_number("squared distance", squared_distance, "up")
    if not 0 <= distance < math.inf:
        raise InputError(f"squared distance = {squared_distance}: need a finite distance, at least 0")
    if risk.examples != n:
        raise InputError(f"the risk is one of {risk.examples} examples, not of n = {n}; both are of the same sample")
    if not 0 < risk.delta < 1:
        raise InputError(f"the risk's delta = {risk.delta} does not lie in (0, 1)")
    if not delta - risk.delta > 1e-100:
        raise InputError(f"Monte Carlo spends {risk.delta} of delta = {delta}; nothing is left, enlarge delta")
    priors = priors or PriorGrid.for_dim(dim)
    k = priors.best(dim, sigma**2, distance)
    left = lower_end(iv.real(delta) - iv.real(risk.delta))
    variance, log_confidence = priors.intervals(iv, k, iv.real(left))
    kl = gaussian_kl_interval(iv, dim, iv.real(sigma) ** 2, variance, iv.real(distance))
    log_term = iv.log(2 * iv.sqrt(iv.real(n))) + log_confidence
    complexity = upper_end(iv.sqrt((kl + log_term) / (2 * n)))
    total = upper_end(iv.real(risk.upper) + complexity)
    inverse = kl_inverse(risk.upper, upper_end((kl + log_term) / n))
    return Bound(
        [Term("f_S(Q), Monte Carlo", risk.upper, "certificate"), Term("complexity", complexity, "certificate")],
        total,
        min(total, inverse),
        total >= 1,
        kind,
        delta,
        {
            "sigma": sigma,
            "sigma_of_bound_kl": sigma,
            "prior_index": k,
            "prior_variance": priors.variance(k),
            "kl_nats": upper_end(kl),
            "log_term": upper_end(log_term),
            "dim": dim,
            "examples": n,
            "squared_distance": distance,
            "loss_bound": 1.0,
        },
        [
            f"The {n} examples are independent draws from one distribution, and the prior's mean was fixed before.",
            "Draws by which sigma was chosen are not among those of the Monte-Carlo value.",
            "What is bounded is the risk of the randomised predictor N(x, sigma^2 I); for the point x it would need "
            "f_D(x) <= E f_D(x + e).",
        ],
        "Monte Carlo",
    )
