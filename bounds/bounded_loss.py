"""A smooth cross-entropy with values in [0, 1]: bounds need a bounded loss, curvature a differentiable one."""

import math
from typing import SupportsFloat

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from ..ground.errors import InputError
from .rounding.real import real_number

__all__ = ["BoundedCrossEntropy"]


class BoundedCrossEntropy:
    """``-ln(p_min + (1 - p_min) p_y) / ln(1/p_min)``: 0 for certain and right, 1 for certain and wrong.

    Args:
        p_min: floor of every probability, in (0, 1) (Perez-Ortiz et al. 2021 use 1e-5; ours is larger, for smaller
            derivatives). In a precision of unit ``eps`` it must be a normal number and at most ``1 - sqrt(eps)``.

    Raises:
        InputError: ``p_min`` outside (0, 1), or one that the precision of the outputs cannot tell from 0 or 1.

    Example:
        >>> import torch
        >>> loss = BoundedCrossEntropy(0.01)
        >>> scores = torch.tensor([[0.0, 0.0], [0.0, 900.0]])
        >>> [round(float(loss(scores[i:i+1], torch.tensor([0]))), 4) for i in (0, 1)]
        [0.1484, 1.0]
    """

    def __init__(self, p_min: SupportsFloat = 1e-3) -> None:
        self.p_min = real_number("p_min", p_min, "up")
        if not 0 < self.p_min < 1:
            raise InputError(f"p_min = {p_min} does not lie in (0, 1); give e.g. 1e-3")

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over the minibatch, a scalar; outputs are class scores of shape ``(batch, classes)``."""
        return nll_loss(self._logarithms(outputs), targets) / -math.log(self.p_min)

    def per_example(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of each row, ``(batch,)``: in [0, 1] up to rounding."""
        return nll_loss(self._logarithms(outputs), targets, reduction="none") / -math.log(self.p_min)

    def _logarithms(self, outputs: Tensor) -> Tensor:
        precision = torch.finfo(outputs.dtype)
        if not precision.tiny <= self.p_min <= 1 - math.sqrt(precision.eps):
            raise InputError(f"p_min = {self.p_min} is too close to 0 or 1 for {outputs.dtype}; give e.g. 1e-3")
        return (self.p_min + (1 - self.p_min) * outputs.softmax(1)).log()
