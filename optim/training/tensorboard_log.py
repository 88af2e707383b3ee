"""A training as TensorBoard shows it; the package is needed here and nowhere else."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ground.errors import InputError
from ...ground.row_file import Row
from .training_log import Progress, TrainingLog

__all__ = ["TensorBoardLog"]

_EVENTS = "events.out.tfevents.*"
_NO_CURVES = ("epoch", "step", "lr")


class TensorBoardLog(TrainingLog):
    """Writes metrics and learning rate after every epoch, and the recorder's rows, as scalars over steps.

    It needs no connection: TensorBoard is started apart, ``tensorboard --logdir folder``. What is not finite is left
    out, as it has no place in a curve.

    Args:
        folder: of this one training; made at its beginning.
        resume: whether it may hold what an unfinished training has written: what comes after the step from which that
            one goes on is hidden, so that no step is there twice.
        progress: called after every step.

    Raises:
        InputError: TensorBoard is not installed; the folder is a file, or holds another training.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> from eigensam.optim import TensorBoardLog, TrainSettings, train
        >>> log = TensorBoardLog("board")  # doctest: +SKIP
        >>> run = train(TrainSettings("sam"), load_data("digits"), "run", progress=log)  # doctest: +SKIP
    """

    def __init__(
        self, folder: Path | str, *, resume: bool = False, progress: Progress = lambda done, steps, latest: None
    ) -> None:
        super().__init__(progress)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"TensorBoard's package cannot be loaded ({reason}); run: pip install tensorboard"
            ) from None
        self.folder, self._kind = Path(folder), SummaryWriter
        self._writer: Any = None
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder} is a file; give TensorBoard a folder")
        if not resume and any(self.folder.glob(_EVENTS)):
            raise InputError(f"{self.folder} holds the events of another training; give TensorBoard another folder")

    def begin(self, done: int) -> None:
        """Open a file; what older ones say of this step and of later ones is hidden."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._writer = self._kind(str(self.folder), purge_step=done)
        except OSError as error:
            raise InputError(f"cannot write {self.folder}: {error.strerror}; choose another folder") from None

    def epoch(self, done: int, row: dict[str, Any]) -> None:
        """All metrics, each its curve."""
        self._add("learning rate", row["lr"], done)
        self._add_all("epoch", row, done)

    def curvature(self, row: Row) -> None:
        """All that was measured, each its curve."""
        self._add_all("curvature", row, int(row["step"]))

    def end(self) -> None:
        """Write what is left and close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add_all(self, group: str, row: Mapping[str, Any], step: int) -> None:
        for name, value in row.items():
            if name not in _NO_CURVES and isinstance(value, int | float):
                self._add(f"{group}/{name}", value, step)

    def _add(self, tag: str, value: float, step: int) -> None:
        if math.isfinite(value):
            self._writer.add_scalar(tag, value, step)
