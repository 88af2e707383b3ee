"""When to stop: how far Ritz values still are from the eigenvalues."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Convergence"]

Array = NDArray[Any]


@final
class Convergence:
    """Decides whether every wanted Ritz value is within ``t = tolerance * (the largest magnitude among them)``.

    A value has settled where both hold:

    - its residual is at most ``t``: then an eigenvalue lies within ``t``;
    - what it is still going to move is at most ``t``. Values move about geometrically: after the steps ``d'`` and
      ``d``, with ``q = d / d'``, what is left is ``d q / (1 - q)`` (Aitken). Growing steps are those of a start near
      an eigenvector other than the wanted one, where the residual is small at once.

    A residual that is rounding needs no second look. Neither proves that it is the *wanted* eigenvalue: two of them
    closer than the residual look like one between them. (Ours: Kato-Temple's ``r^2 / gap <= t`` would save one product
    in six, but the gap must be guessed from Ritz values, and a third of spectra with a second eigenvalue within 1e-4 to
    1 of the first then stopped too early.)

    Args:
        tolerance: relative accuracy of each value.
        accuracy: relative accuracy of products; steps smaller than this are rounding.

    Example:
        >>> import torch
        >>> rule = Convergence(1e-2, 1e-14)
        >>> values, residuals = torch.tensor([0.0, 1.0]), torch.tensor([0.1, 0.1])
        >>> [rule.met(values, size * residuals, [1]) for size in (1.0, 0.01, 0.01)]
        [False, False, True]
    """

    def __init__(self, tolerance: float, accuracy: float) -> None:
        self.tolerance, self.accuracy = tolerance, accuracy
        self._history: list[Array] = []

    def met(self, theta: Tensor, residuals: Tensor, wanted: list[int]) -> bool:
        """Take in the Ritz values after one more product; say whether to stop.

        Args:
            theta: all Ritz values, increasing, shape ``(j,)``.
            residuals: theirs, shape ``(j,)``.
            wanted: places of the wanted values.
        """
        return bool(self.settled(theta.numpy(), residuals.numpy(), wanted))

    def settled(self, theta: Array, residuals: Array, wanted: list[int], least_scale: Array | None = None) -> Array:
        """The same of several matrices at once, each by itself: shape ``(...)``.

        Args:
            theta: all Ritz values, increasing, shape ``(..., j)``.
            residuals: theirs, shape ``(..., j)``.
            wanted: places of the wanted values.
            least_scale: what the tolerance is relative to, if larger than the wanted values, shape ``(...)``.
        """
        values, rest = theta[..., wanted], residuals[..., wanted]
        if self._history and self._history[-1].shape != values.shape:
            self._history = []
        self._history = [*self._history[-2:], values]
        scale = np.abs(values).max(-1, keepdims=True)
        if least_scale is not None:
            scale = np.maximum(scale, least_scale[..., None])
        small = (rest <= self.tolerance * scale) & (self._left(scale) <= self.tolerance * scale)
        exact = rest <= self.accuracy * np.abs(theta).max(-1, keepdims=True)
        result: Array = (small | exact).all(-1)
        return result

    def _left(self, scale: Array) -> Array:
        """What each value is still going to move, shape ``(..., k)``; unknown before three values are known."""
        if len(self._history) < 3:
            return np.full_like(self._history[-1], np.inf)
        before, last, now = self._history
        step, previous = np.abs(now - last), np.abs(last - before)
        negligible = max(self.accuracy, 1e-3 * self.tolerance) * scale
        with np.errstate(divide="ignore", invalid="ignore"):
            left = np.where(step < previous, step * (step / (previous - step)), np.inf)
        return np.where(step <= negligible, 0.0, left)
