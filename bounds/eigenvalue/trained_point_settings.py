"""What Theorem 4.1 at a trained point is asked for. Loads no torch."""

from dataclasses import dataclass, field
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
        batch_size: examples per pass (memory only).
        max_products: most Hessian-vector products for lambda_1.
        random_directions: for ``K_4``, besides the top eigenvector.
        seed: of the random directions and the Lanczos start.
    """

    delta: float = setting(0.05, "Probability with which the bound may fail, between 0 and 1.")
    p_min: float = setting(1e-3, "Floor of the probabilities in the bounded cross-entropy that is bounded (ours).")
    prior: str = setting(
        "initial", "Mean of the prior: the network's initialisation or zero.", choices=lambda: get_args(PriorCentre)
    )
    sigma: float | None = setting(
        None, "Standard deviation of the posterior; by default the one that makes the bound smallest."
    )
    batch_size: int = setting(500, "Examples in a pass (memory only).")
    max_products: int = setting(30, "Most Hessian-vector products to spend on the top eigenvalue.")
    random_directions: int = field(default=4, metadata={"option": False})
    seed: int = setting(0, "Seed of the random directions and of the start vector.")

    def check(self) -> None:
        """Refuse what is out of range."""
        check_types(self)
        from ..bounded_loss import BoundedCrossEntropy
        from ..rounding.arguments import check_delta
        from .inputs import check_sigma

        check_count("--batch-size", self.batch_size)
        check_count("--max-products", self.max_products)
        check_count("random directions", self.random_directions, low=0)
        check_count("--seed", self.seed, low=0)
        check_delta(self.delta)
        if self.sigma is not None:
            check_sigma(self.sigma)
        BoundedCrossEntropy(self.p_min)
        if self.prior not in get_args(PriorCentre):
            raise InputError(f"unknown prior centre '{self.prior}'; choose one of: {', '.join(get_args(PriorCentre))}")
