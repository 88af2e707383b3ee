"""An ensemble on disk while it is computed: what is complete, and everything that it depends on."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ....ground.errors import InputError
from ....ground.fingerprints import fingerprint
from ....ground.identities import differences
from ....ground.records import read_json, write_json
from ....landscapes.tensor_files import load_tensors, save_tensors
from ..statistics.merge_tree import MergeTree
from ..statistics.observed import CellStatistics
from .ensemble import Kept

__all__ = ["RunStore"]

_STATE = "simulation.json"
_FIELDS = {"done": int, "statistics": str, "pieces": dict, "identity": dict, "digest": str}


@dataclass
class RunStore:
    """Files of one process's part of a run.

    A final state is written once, in pieces; statistics anew each time, under another name, before the small file that
    says which names count. So a kill at any moment leaves a state that is complete.

    Attributes:
        folder: of the files; it is made.
        identity: what results depend on, each part under its name.
        seconds: between two writes.
    """

    folder: Path
    identity: Mapping[str, str | int]
    seconds: float
    _written: int = 0
    _pieces: dict[str, str] = field(default_factory=dict)  # name: digest
    _last: float = field(default_factory=time.monotonic)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder is made, and no other process writes into it meanwhile.

        Raises:
            InputError: it cannot be made, or another process holds it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock")
            lock.acquire(blocking=False)
        except Timeout:
            raise InputError(
                f"another process is writing into {self.folder}; choose another checkpoint folder"
            ) from None
        except OSError as error:
            raise InputError(
                f"cannot write into {self.folder}: {error.strerror or error}; choose another one"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def read(self, kept: Kept, first: int) -> None:
        """Put in what an earlier process left.

        Args:
            kept: with room for final states and trajectories.
            first: number of the part's first path.

        Raises:
            InputError: files of another run, with what is different, or damaged ones.
        """
        self._written = first
        path = self.folder / _STATE
        if not path.exists():
            return
        found = read_json(path)
        if not isinstance(found, dict) or not isinstance(found.get("identity"), dict):
            raise InputError(f"{path} is no state of a simulation; choose another checkpoint folder")
        if found["identity"] != dict(self.identity):
            raise InputError(
                f"{self.folder} holds another run, which differs in {differences(found['identity'], self.identity)}; "
                "choose another checkpoint folder, or remove this one"
            )
        if any(type(found.get(name)) is not kind for name, kind in _FIELDS.items()):
            fields = ", ".join(name for name, kind in _FIELDS.items() if type(found.get(name)) is not kind)
            raise InputError(f"{path} is damaged: {fields} is missing or of another type; remove {self.folder}")
        tensors = load_tensors(self.folder / found["statistics"])
        if found["digest"] != _digest(tensors, found):
            raise InputError(f"{path} and the files that it names are damaged; remove {self.folder}")
        if kept.trajectories is not None:
            kept.trajectories[:] = tensors.pop("trajectories").to(kept.trajectories)
        arrays = {name: each.numpy() for name, each in tensors.items()}
        kept.tree = MergeTree.from_arrays(arrays, CellStatistics.from_arrays)
        for piece, digest in found["pieces"].items():
            begin = int(piece.split("-")[1].split(".")[0]) - first
            rows = load_tensors(self.folder / piece)["final"]
            if fingerprint(rows) != digest:
                raise InputError(f"{self.folder / piece} is damaged; remove {self.folder}")
            if kept.final is not None:
                kept.final[begin : begin + len(rows)] = rows.to(kept.final)
        self._written = kept.done
        self._pieces = dict(found["pieces"])

    def write(self, kept: Kept, first: int, *, now: bool = False) -> None:
        """Write what is new, if it is time.

        Raises:
            InputError: a full disk; what was written before is still there.
        """
        if kept.done == self._written or not (now or time.monotonic() - self._last > self.seconds):
            return
        if kept.final is not None:
            name = f"final-{self._written}.safetensors"
            rows = kept.final[self._written - first : kept.done - first]
            save_tensors(self.folder / name, {"final": rows})
            self._pieces[name] = fingerprint(rows)
        tensors = {name: torch.from_numpy(np.array(each)) for name, each in kept.tree.to_arrays().items()}
        if kept.trajectories is not None:
            tensors["trajectories"] = kept.trajectories
        statistics = f"statistics-{kept.done}.safetensors"
        save_tensors(self.folder / statistics, tensors)
        content = {"done": kept.done, "statistics": statistics, "pieces": self._pieces, "identity": dict(self.identity)}
        write_json(self.folder / _STATE, {**content, "digest": _digest(tensors, content)})
        for old in self.folder.glob("statistics-*.safetensors"):
            if old.name != statistics:
                old.unlink(missing_ok=True)
        self._written, self._last = kept.done, time.monotonic()


def _digest(tensors: Mapping[str, Tensor], content: Mapping[str, object]) -> str:
    """Of statistics and of what is said of them."""
    said = json.dumps([content["done"], content["pieces"], content["identity"]], sort_keys=True)
    return fingerprint({name: each.cpu() for name, each in tensors.items()}, said)
