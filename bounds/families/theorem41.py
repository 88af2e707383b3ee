"""Theorem 4.1 of the paper: the top eigenvalue of the Hessian bounds the risk of a Gaussian posterior."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ...ground.console import check_count
from ...ground.errors import InputError
from ..bound import Bound
from ..family import BoundFamily
from ..registry import BOUNDS

if TYPE_CHECKING:
    import torch

    from ...landscapes.runs.data import DataSet

__all__ = ["Theorem41"]


@BOUNDS.register("theorem-4.1", order=1)
@dataclass(frozen=True)
class Theorem41(BoundFamily):
    """Settings of :func:`bound_checkpoint`; ``prior`` is its ``centre``."""

    title = "Theorem 4.1"

    delta: float = field(default=0.05, metadata={"help": "Probability of failure, in (0, 1)."})
    p_min: float = field(default=1e-3, metadata={"help": "Probability floor of the bounded cross-entropy."})
    prior: str = field(default="initial", metadata={"help": "Prior mean: initial or zero."})
    sigma: float | None = field(default=None, metadata={"help": "Posterior standard deviation; default: the best."})
    batch_size: int = field(default=500, metadata={"help": "Examples per pass."})
    max_products: int = field(default=30, metadata={"help": "Most Hessian-vector products for lambda_1."})
    seed: int = field(default=0, metadata={"help": "Of random directions and start vector."})

    def check(self) -> None:
        """Refuse what is out of range."""
        from ..bounded_loss import BoundedCrossEntropy
        from ..inputs import check_delta, check_sigma
        from ..trained_point import PriorCentre

        check_count("--batch-size", self.batch_size)
        check_count("--max-products", self.max_products)
        check_count("--seed", self.seed, low=0)
        check_delta(self.delta)
        if self.sigma is not None:
            check_sigma(self.sigma)
        BoundedCrossEntropy(self.p_min)
        if self.prior not in get_args(PriorCentre):
            raise InputError(f"unknown prior centre '{self.prior}'; choose one of: {', '.join(get_args(PriorCentre))}")

    def bound(
        self, run: Path, data: "DataSet", *, device: "torch.device | str", progress: Callable[[str], None]
    ) -> Bound:
        """Bound at the trained point, in float64."""
        from ..trained_point import bound_checkpoint

        return bound_checkpoint(
            run,
            data,
            delta=self.delta,
            p_min=self.p_min,
            centre=self.prior,  # type: ignore[arg-type]
            sigma=self.sigma,
            batch_size=self.batch_size,
            max_products=self.max_products,
            seed=self.seed,
            device=device,
            progress=progress,
        )
