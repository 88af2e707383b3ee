"""Where and with what an item is measured."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Resources"]


@dataclass(frozen=True)
class Resources:
    """What measuring may use, none of which changes a number.

    Attributes:
        out: folder of results; items may keep intermediate files in it.
        jobs: processes at a time.
        device: where networks are computed.
        data_root: folder with data, of data sets that are not built in.
        download: fetch missing data.
        loaded: what items have loaded and share, by names of their own.
    """

    out: Path
    jobs: int = 1
    device: str = "cpu"
    data_root: Path | None = None
    download: bool = False
    loaded: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def needs_files(self) -> bool:
        """Whether data have been loaded that are not built in."""
        from ..landscapes.runs.registries import DATA

        names = [key[1] for key in self.loaded if isinstance(key, tuple) and key[0] == "data"]
        return any(not DATA[name].built_in for name in names)
