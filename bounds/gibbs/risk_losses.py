"""Losses in [0, 1] of single draws, never below what exact arithmetic would give."""

import math
from abc import ABC, abstractmethod
from typing import SupportsFloat, final

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..bounded_loss import BoundedCrossEntropy
from ..rounding.arguments import check_delta

__all__ = ["CrossEntropyRisk", "GibbsLoss", "ZeroOneRisk", "logit_tolerance"]

_TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-8}


def logit_tolerance(dtype: torch.dtype) -> float:
    """Error that scores may have, relative to the largest of their example: 1e-5 in float32, 1e-8 in float64 (ours).

    That is a hundred and 10^8 times the rounding unit: what rounding, the summation order of a matrix product, the
    number of threads or the device change is below it, so that they cannot make a risk too small.

    Raises:
        InputError: half precision.
    """
    if dtype not in _TOLERANCES:
        raise InputError(f"scores of type {dtype} are not precise enough for a certificate; use float32 or float64")
    return _TOLERANCES[dtype]


class GibbsLoss(ABC):
    """One loss whose Gibbs risk is estimated, with the confidence that its estimate spends.

    Args:
        delta: the upper value is wrong with at most this probability.

    Attributes:
        name: of the loss.
        delta: as given.

    Raises:
        InputError: delta outside (0, 1).
    """

    name: str

    def __init__(self, delta: SupportsFloat) -> None:
        self.delta = check_delta(delta)

    @abstractmethod
    def upper(self, logits: Tensor, targets: Tensor, tolerance: float) -> Tensor:
        """Losses ``(batch,)`` in [0, 1] of scores ``(batch, classes)`` in float64: truth values, or float64.

        Not below the loss of any scores within ``tolerance`` times the largest of the row; 1 where a score is NaN.
        """


@final
class ZeroOneRisk(GibbsLoss):
    """1 unless the score of the true class is above all others, by more than rounding could undo; ties are errors.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[1.0, 0.0], [1.0, 1.0], [float("nan"), 0.0]], dtype=torch.float64)
        >>> ZeroOneRisk(0.01).upper(scores, torch.tensor([0, 0, 0]), 1e-8).tolist()
        [False, True, True]
    """

    name = "zero-one"

    def upper(self, logits: Tensor, targets: Tensor, tolerance: float) -> Tensor:
        """See the base class; scores within the tolerance of each other are ties."""
        true = logits.gather(1, targets[:, None])
        others = logits.scatter(1, targets[:, None], -math.inf).amax(1)
        return ~(true[:, 0] - others > 2 * tolerance * logits.abs().amax(1))  # also where NaN


@final
class CrossEntropyRisk(GibbsLoss):
    """``BoundedCrossEntropy`` of each example, with what rounding could have taken from it.

    Scores that change by at most ``e`` change ``-ln(p_min + (1 - p_min) p_y)`` by at most ``2 e``.

    Args:
        delta: the upper value is wrong with at most this probability.
        loss: with its ``p_min``; default ``BoundedCrossEntropy()``.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[0.0, 900.0], [900.0, 0.0]], dtype=torch.float64)
        >>> CrossEntropyRisk(0.01).upper(scores, torch.tensor([0, 0]), 1e-8).round(decimals=5).tolist()
        [1.0, 0.0]
    """

    name = "cross-entropy"

    def __init__(self, delta: SupportsFloat, loss: BoundedCrossEntropy | None = None) -> None:
        super().__init__(delta)
        self.loss = BoundedCrossEntropy() if loss is None else loss

    def upper(self, logits: Tensor, targets: Tensor, tolerance: float) -> Tensor:
        """See the base class; rounding of the loss itself is far below ``tolerance`` times 1."""
        slack = 2 * tolerance * (1 + logits.abs().amax(1)) / -math.log(self.loss.p_min)
        return (self.loss.per_example(logits, targets) + slack).nan_to_num(nan=1.0).clamp(0, 1)
