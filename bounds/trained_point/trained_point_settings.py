"""What Theorem 4.1 at a trained point is asked for. Loads no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

from ...ground.console import check_count
from ...ground.errors import InputError
from ...ground.settings import check_types, setting

__all__ = ["PriorCentre", "TrainedPointSettings"]

PriorCentre = Literal["initial", "zero"]
"""Both are independent of the sample."""


@dataclass(frozen=True)
class TrainedPointSettings:
    """Failure probability, prior, posterior, and effort.

    Attributes:
        delta: probability of failure.
        p_min: of the bounded cross-entropy that the bound is about.
        prior: its mean, the network's initialisation or zero; both are independent of the sample.
        sigma: posterior standard deviation; default: the best.
        batch_size: examples per pass (memory only); 0: as many as 2 GiB allow for fourth derivatives, at most 500.
        max_products: most Hessian-vector products for the eigenvalues.
        top: how many eigenvalues; along their eigenvectors the posterior of the effective dimension is narrow.
        probes: random vectors of the trace.
        ascents: steps of the power iterations that estimate ``K_3`` and ``K_4``.
        random_directions: for ``K_4`` and ``M_4``, besides the top eigenvector.
        derivative_examples: for third and fourth derivatives, at random; 0: all.
        draws: from the posterior, for ``f_S(Q)``; a twentieth as many pairs, at least two from ten draws on, for
            each sigma of the picture.
        rho: radius of the ball in which the worst case is looked for, and of other papers' bounds.
        gradients: for each ascent to a worst case.
        squared_input_norm: of linear networks, what no example exceeds; the bounds then speak of the point itself.
        eigenvalue_share: of ``delta``, for the upper end of ``lambda_1``.
        mc_share: of ``delta``, for the upper end of ``f_S(Q)``.
        along: whether the bound is computed after every epoch that the run has kept, too.
        single: whether float32 is enough; eigenvalues then have no certified end.
        seed: of everything random.
    """

    delta: float = setting(0.05, "Probability with which the bound may fail, between 0 and 1.")
    p_min: float = setting(1e-3, "Floor of the probabilities in the bounded cross-entropy that is bounded (ours).")
    prior: str = setting(
        "initial", "Mean of the prior: the network's initialisation or zero.", choices=lambda: get_args(PriorCentre)
    )
    sigma: float | None = setting(
        None, "Standard deviation of the posterior; by default the one that makes the bound smallest."
    )
    batch_size: int = setting(0, "Examples in a pass (memory only); 0: what 2 GiB allow, at most 500.")
    max_products: int = setting(60, "Most Hessian-vector products to spend on the top eigenvalues.")
    top: int = setting(5, "How many top eigenvalues the effective dimension is taken from.")
    probes: int = setting(10, "Random vectors, one Hessian-vector product each, for the trace.")
    ascents: int = setting(2, "Steps of the power iterations for the third and fourth derivatives.")
    random_directions: int = setting(4, "Random directions for the fourth derivative, besides the top eigenvector.")
    derivative_examples: int = setting(
        0, "Random examples for third and fourth derivatives, which are estimates in any case; 0: all."
    )
    draws: int = setting(100, "Draws from the posterior for f_S(Q), each evaluated on all examples.")
    rho: float = setting(0.05, "Radius of the ball for the worst case and for the bounds of other papers.")
    gradients: int = setting(40, "Gradients to spend on each ascent to a worst case.")
    squared_input_norm: float | None = setting(
        None,
        "For linear networks: no example's squared norm exceeds it; bounds then speak of the network itself, too.",
    )
    eigenvalue_share: float = setting(0.1, "Part of delta for the upper end of the top eigenvalue.")
    mc_share: float = setting(0.1, "Part of delta for the upper end of f_S(Q).")
    along: bool = setting(False, "Bound after every epoch that train --snapshot-every has kept, too.")
    single: bool = setting(False, "Compute in float32: for large networks; the eigenvalue's end is then an estimate.")
    seed: int = setting(0, "Seed of everything random.")

    def check(self) -> None:
        """Refuse what is out of range."""
        check_types(self)
        from ..bounded_loss import BoundedCrossEntropy
        from ..eigenvalue.inputs import check_sigma
        from ..rounding.arguments import check_delta

        check_count("--batch-size", self.batch_size, low=0)
        check_count("--max-products", self.max_products)
        check_count("--top", self.top)
        check_count("--probes", self.probes, low=2)
        check_count("--random-directions", self.random_directions, low=0)
        check_count("--ascents", self.ascents, low=0)
        check_count("--derivative-examples", self.derivative_examples, low=0)
        check_count("--draws", self.draws)
        check_count("--gradients", self.gradients, low=2)
        if not 1e-12 <= self.rho <= 1e6:
            raise InputError(f"--rho {self.rho} is not a radius between 1e-12 and 1e6; give e.g. 0.05")
        if self.squared_input_norm is not None and not 0 < self.squared_input_norm < 1e100:
            raise InputError(f"--squared-input-norm {self.squared_input_norm} is not positive and finite")
        for option, share in (("--eigenvalue-share", self.eigenvalue_share), ("--mc-share", self.mc_share)):
            if not 0 < share < 1:
                raise InputError(f"{option} {share} is no part of delta; give a number between 0 and 1, e.g. 0.1")
        check_count("--seed", self.seed, low=0)
        check_delta(self.delta)
        if self.sigma is not None:
            check_sigma(self.sigma)
        BoundedCrossEntropy(self.p_min)
        if self.prior not in get_args(PriorCentre):
            raise InputError(f"unknown prior centre '{self.prior}'; choose one of: {', '.join(get_args(PriorCentre))}")
