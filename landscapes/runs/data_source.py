"""Where a data set comes from. Nothing here loads torch: lists of names must be cheap."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .data_set import DataSet

__all__ = ["DataSource"]


class DataSource(ABC):
    """An entry of ``DATA``; import what loads inside :meth:`load`.

    Attributes:
        built_in: whether it needs no files, and so no data root.
        shape: of an image, channels first, where it is known without the files.
        examples: of the training set, likewise; 0 is not known.
    """

    built_in: bool = False
    shape: tuple[int, int, int] | None = None
    examples: int = 0

    @property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation that images in [0, 1] were standardised by, a number for each channel.

        None is not known: networks that others have trained on other images cannot begin with these.
        """
        return None

    @abstractmethod
    def load(self, name: str, root: Path | None, *, download: bool) -> "DataSet":
        """Load training and test set.

        Args:
            name: of the entry.
            root: folder of the files; None if it is built in.
            download: whether what is missing may be fetched there.

        Raises:
            InputError: files that are missing or damaged.
        """
