"""Theorem 4.1 of the paper: the top eigenvalue of the Hessian bounds the risk of a Gaussian posterior."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..eigenvalue.bound import Bound
from ..family import BoundFamily
from ..registry import BOUNDS
from ..trained_point.trained_point_settings import TrainedPointSettings

if TYPE_CHECKING:
    import torch

    from ...landscapes.runs.data_set import DataSet
    from ...landscapes.runs.run import Run

__all__ = ["Theorem41"]


@BOUNDS.register("theorem-4.1", order=1)
@dataclass(frozen=True)
class Theorem41(TrainedPointSettings, BoundFamily):
    """The theorem at the point that a run has reached, on its own training set."""

    title = "Theorem 4.1"

    def bound(
        self,
        run: "Run | Path | str",
        data: "DataSet | None" = None,
        *,
        device: "torch.device | str" = "cpu",
        progress: Callable[[str], None] = lambda what: None,
    ) -> Bound:
        """Bound at the trained point, in float64."""
        from ..trained_point.trained_point import bound_checkpoint

        return bound_checkpoint(run, data, self, device=device, progress=progress)
