"""What a bound of a trained run is: settings that are its options, and one computation."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .eigenvalue.bound import Bound

if TYPE_CHECKING:
    import torch

    from ..landscapes.runs.data_set import DataSet
    from ..landscapes.runs.run import Run

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
        self,
        run: "Run | Path | str",
        data: "DataSet | None" = None,
        *,
        device: "torch.device | str" = "cpu",
        progress: Callable[[str], None] = lambda what: None,
    ) -> Bound:
        """Bound the risk of a run's trained network.

        Args:
            run: or its directory.
            data: the data set that it was trained on; None loads it, which works for data that are built in.
            device: where to compute.
            progress: called with what is being computed.
        """

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as a JSON-ready dictionary."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]
