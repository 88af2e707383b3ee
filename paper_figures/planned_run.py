"""A training that an item will make, for those who ask beforehand what it takes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..optim.training.settings import TrainSettings

__all__ = ["PlannedRun"]


@dataclass(frozen=True)
class PlannedRun:
    """One training.

    Attributes:
        label: a few words.
        settings: of it; where they follow from what is measured first, those of a run that costs as much.
        steps: of the optimizer.
        shape: of an image, channels first.
        classes: of the data.
        done: whether it is there already.
        data_here: whether its data, and the weights that it begins with, are.
        measurements: top eigenpairs that are measured on the way.
    """

    label: str
    settings: "TrainSettings"
    steps: int
    shape: tuple[int, int, int]
    classes: int
    done: bool
    data_here: bool = True
    measurements: int = 0
