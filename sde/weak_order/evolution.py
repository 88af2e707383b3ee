"""Powers of a one-step operator and the exponential of a generator, both through a few applications of an operator.

A chain's operator is ``P = I + eta A``; with the binomial series ``P^k v = sum_j C(k, j) (eta A)^j v`` thousands of
steps cost as many applications as the Taylor series of ``e^{k eta A} v`` would: both series end when their terms vanish
in rounding. Nothing is formed but images of vectors.
"""

from collections.abc import Callable

from torch import Tensor

__all__ = ["Evolution"]

Operator = Callable[[Tensor], Tensor]

_GROWTH = 100.0
"""Ours: a series whose terms grow beyond this loses more than two digits in their cancellation and is cut in two."""

_ROUNDING = 2.0**-54


class Evolution:
    """``(I + step A)^(t / step)``, or ``e^{t A}`` without a step.

    Args:
        operator: applies ``A`` to a tensor; any shape.
        step: ``eta`` of a chain.

    Example:
        >>> import torch
        >>> from eigensam.sde.weak_order.evolution import Evolution
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> round(Evolution(lambda v: -v, step=0.5).advance(one, 1.0).item(), 6)  # (1 - 1/2)^2
        0.25
        >>> round(Evolution(lambda v: -v).advance(one, 1.0).item(), 6)
        0.367879
    """

    def __init__(self, operator: Operator, step: float | None = None) -> None:
        self._operator = operator
        self._step = step
        self._longest = float("inf")  # amount of time, or of steps, that a series has been found to reach

    def advance(self, state: Tensor, time: float) -> Tensor:
        """The state after a time, which is a whole number of steps for a chain."""
        amount = time if self._step is None else round(time / self._step)
        while amount > 0:
            piece = min(amount, self._longest)
            after, growth = self._series(state, piece)
            if after is None:
                self._longest = piece / 2 if self._step is None else piece // 2
                continue
            state, amount = after, amount - piece
            if growth <= 1 and piece == self._longest:  # the state may have outgrown what made its series grow
                self._longest = 2 * piece
        return state

    def _series(self, state: Tensor, amount: float) -> tuple[Tensor | None, float]:
        """The sum, or None where it should be cut in two, and its largest term compared with the state."""
        total = term = state
        start = limit = float(state.abs().max())
        shrunk, j = False, 0
        while self._step is None or j < amount:
            factor = amount if self._step is None else self._step * (amount - j)
            term = self._operator(term) * (factor / (j + 1))
            total = total + term
            size = float(term.abs().max())
            if not size <= _GROWTH * start and (self._step is None or amount > 1):  # also where it is not a number
                return None if size < float("inf") else total, float("inf")
            limit = max(limit, size)
            if size <= _ROUNDING * limit and shrunk:
                break
            shrunk, j = size <= _ROUNDING * limit, j + 1
        return total, limit / start if start else 0.0
