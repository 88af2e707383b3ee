"""What is told of a training while it runs."""

from collections.abc import Callable
from typing import Any

from ...ground.row_file import Row

__all__ = ["Progress", "TrainingLog"]

Progress = Callable[[int, int, dict[str, Any]], None]
"""Called after every step with (steps done, all steps, latest metrics and the step's ``loss``)."""


class TrainingLog:
    """Hears of steps, epochs and curvature, and does nothing but call ``progress``; subclasses write it somewhere.

    A training that goes on from a saved state begins with that state's step, and says again what it said at this very
    step: a kill may have come between.

    Args:
        progress: called after every step.

    Example:
        >>> class Epochs(TrainingLog):
        ...     def epoch(self, done, row):
        ...         print(done, row["test_accuracy"])
        >>> Epochs().epoch(22, {"test_accuracy": 0.5})
        22 0.5
    """

    def __init__(self, progress: Progress = lambda done, steps, latest: None) -> None:
        self.progress = progress

    def begin(self, done: int) -> None:
        """The training begins after so many steps."""

    def step(self, done: int, steps: int, latest: dict[str, Any]) -> None:
        """So many steps of all steps are done."""
        self.progress(done, steps, latest)

    def epoch(self, done: int, row: dict[str, Any]) -> None:
        """An epoch is finished after so many steps: its row of ``metrics.jsonl``."""

    def curvature(self, row: Row) -> None:
        """The curvature was measured: its row of ``curvature.jsonl``."""

    def end(self) -> None:
        """Nothing more comes, because the training is finished or was stopped."""
