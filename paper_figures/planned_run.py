"""A training that an item will make, for those who ask beforehand what it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..ground.errors import InputError
from .resources import Resources

if TYPE_CHECKING:
    from ..optim.training.settings import TrainSettings

__all__ = ["PlannedRun", "planned_run"]


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


def planned_run(
    label: str, settings: "TrainSettings", resources: Resources, done: Callable[[], bool], measurements: int
) -> PlannedRun:
    """Count a run's steps; without the data's files where their size is known.

    Args:
        label: a few words.
        settings: of the run.
        resources: where its data are.
        done: whether it is there already, asked where the data are.
        measurements: of top eigenpairs.

    Raises:
        InputError: data that are not there, and whose size is not known.
    """
    from ..landscapes.runs.registries import DATA
    from .used_data import used_data  # with torch, which a list of items does not need

    source = DATA[settings.data]
    there, here, shape, classes, examples = False, True, source.shape, getattr(source, "classes", 10), source.examples
    try:
        data = used_data(settings.data, resources)
        shape, classes, examples = data.shape, data.classes, len(data.train_targets)  # type: ignore[assignment]
        there = done()
    except InputError:
        if shape is None:
            raise
        here = False
    assert shape is not None
    trained = (settings.subset or round(examples * settings.prior_fraction)) * (1 - settings.validation_fraction)
    steps = settings.epochs * max(round(trained) // settings.batch_size, 1)
    return PlannedRun(label, settings, steps, shape, classes, there, here, measurements)
