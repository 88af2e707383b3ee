"""What a bound of a trained run is: settings that are its options, and one computation."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .bound import Bound

if TYPE_CHECKING:
    import torch

    from ..landscapes.runs.data import DataSet

__all__ = ["BoundFamily"]


class BoundFamily(ABC):
    """A bound as a data class: its fields are the options of ``eigensam bound --kind NAME`` and its JSON.

    Its class is registered in ``BOUNDS``. All fields have defaults; what an option means is the field's
    ``metadata["help"]``. Its module must be cheap to import, as help needs it.

    Attributes:
        title: headline of its table.
    """

    title: ClassVar[str]

    @abstractmethod
    def check(self) -> None:
        """Refuse settings that are out of range, before data are loaded.

        Raises:
            InputError: which, and the repair.
        """

    @abstractmethod
    def bound(
        self, run: Path, data: "DataSet", *, device: "torch.device | str", progress: Callable[[str], None]
    ) -> Bound:
        """Bound the risk of a run's trained network; ``progress`` is told what is computed."""

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as a JSON-ready dictionary."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]
