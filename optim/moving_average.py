"""Methods that keep a moving average of the gradients of past minibatches."""

from abc import abstractmethod
from typing import ClassVar

import torch

from .two_pass import TwoPassOptimizer
from .vector import Vector

__all__ = ["MovingAverageOptimizer"]


class MovingAverageOptimizer(TwoPassOptimizer):
    """``m = (1 - w) m + w g``, which starts with the first gradient, for each parameter on its own.

    A step that is not taken does not change it. A method says what :attr:`newest` is, and under which name its
    parameters' state has the average (:attr:`average_name`, also in ``kept_tensors``).
    """

    kept_numbers = ("started",)
    ascent_may_be_local = False

    average_name: ClassVar[str]

    started = False  # whether there is an average
    _next: Vector | None = None  # what the average becomes if this step is taken

    @property
    @abstractmethod
    def newest(self) -> float:
        """The weight ``w`` of the newest gradient."""

    def average(self) -> tuple[Vector, list[bool]]:
        """The average over perturbed parameters, and for which of them there is one; else anything stands there."""
        parameters = self.moving()
        # Entries that a checkpoint of processes is to be read into are no average yet.
        known = [self.started and self.average_name in self.state.get(p, {}) for p in parameters]
        parts = (self.state[p][self.average_name] if old else p for p, old in zip(parameters, known, strict=True))
        return Vector(parts), known

    def averaged(self, g: Vector) -> Vector:
        """What the average becomes with this gradient, in place."""
        m, known = self.average()
        if not any(known):
            return g
        if all(known):
            return g.mul_(self.newest).add_(m, 1 - self.newest)
        newest = [self.newest if old else 1.0 for old in known]
        return g.mul_(newest).add_(m, [1 - weight for weight in newest])

    def forget(self) -> None:
        """The average of a step that was not taken."""
        self._next = None

    def remember(self, g: Vector) -> None:
        """The average that this step makes."""
        self._next = self.averaged(g.clone())

    @torch.no_grad()
    def finish(self) -> None:
        """Keep it."""
        if self._next is None:
            return
        parameters = self.moving()
        for p in parameters:
            if self.average_name not in self.state[p]:
                self.state[p][self.average_name] = torch.zeros_like(p)
        Vector(self.state[p][self.average_name] for p in parameters).copy_(self._next)
        self._next, self.started = None, True
