"""A process on disk while it moves: where its paths are, what was seen of them, and all that this depends on."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ....ground.errors import InputError
from ....ground.fingerprints import fingerprint
from ....ground.identities import differences
from ....ground.records import read_json, write_json
from ....landscapes.tensor_files import load_tensors, save_tensors

__all__ = ["PathStore"]

_STATE = "paths.json"


@dataclass
class PathStore:
    """Files of one process of a run; tensors under a new name each time, before the small file that names them.

    So a kill at any moment leaves a state that is complete.

    Attributes:
        folder: of the files; it is made.
        identity: what the paths depend on, each part under its name.
        seconds: between two writes.
    """

    folder: Path
    identity: Mapping[str, str | int]
    seconds: float = 60.0
    _last: float = field(default_factory=time.monotonic)

    def read(self, last: int, like: Mapping[str, Tensor]) -> tuple[int, dict[str, Tensor]] | None:
        """The step and the tensors that an earlier process left; None where there are none.

        Args:
            last: the number of steps of the run.
            like: tensors of the same names, shapes and types.

        Raises:
            InputError: files of another run, with what is different, or damaged ones.
        """
        path = self.folder / _STATE
        if not path.exists():
            return None
        found = read_json(path)
        if not isinstance(found, dict) or not isinstance(found.get("identity"), dict):
            raise InputError(f"{path} is no state of a simulation; choose another checkpoint folder")
        if found["identity"] != dict(self.identity):
            raise InputError(
                f"{self.folder} holds another run, which differs in {differences(found['identity'], self.identity)}; "
                "choose another checkpoint folder, or remove this one"
            )
        step, name = found.get("step"), found.get("tensors")
        if type(step) is not int or not 0 <= step <= last or name != _name(step):
            raise InputError(f"{path} is damaged: its step or the name of its tensors is wrong; remove {self.folder}")
        tensors = load_tensors(self.folder / name)
        kinds = [{key: (each.shape, each.dtype) for key, each in every.items()} for every in (tensors, like)]
        if kinds[0] != kinds[1] or found.get("digest") != _digest(tensors, found):
            raise InputError(f"{path} and the file that it names are damaged; remove {self.folder}")
        return step, tensors

    def write(self, step: int, tensors: Mapping[str, Tensor], *, now: bool = False) -> None:
        """Write what there is after a step, if it is time.

        Raises:
            InputError: a folder that cannot be made, or a full disk; what was written before is still there.
        """
        if not now and time.monotonic() - self._last < self.seconds:
            return
        name = _name(step)
        save_tensors(self.folder / name, dict(tensors))
        content = {"step": step, "tensors": name, "identity": dict(self.identity)}
        write_json(self.folder / _STATE, {**content, "digest": _digest(tensors, content)})
        for old in self.folder.glob("paths-*.safetensors"):
            if old.name != name:
                old.unlink(missing_ok=True)
        self._last = time.monotonic()


def _name(step: int) -> str:
    return f"paths-{step}.safetensors"


def _digest(tensors: Mapping[str, Tensor], content: Mapping[str, object]) -> str:
    said = json.dumps([content["step"], content["identity"]], sort_keys=True)
    return fingerprint({name: each.cpu() for name, each in tensors.items()}, said)
