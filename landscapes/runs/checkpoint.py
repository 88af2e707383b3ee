"""Checkpoints: safetensors (which cannot execute code) plus a JSON sidecar that says what they are."""

import copy
import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...ground.input_file import read_input
from ...ground.records import provenance, read_json, write_json
from ...ground.row_file import Row, RowFile
from ...ground.run_files import (
    CHECKPOINT,
    CURVATURE,
    EXAMPLES,
    INITIAL,
    SIDECAR,
    SPLIT,
    snapshot_epoch,
    snapshot_name,
)
from ..networks.whole_state import load_whole_state, whole_state
from ..tensor_files import parse_tensors, save_tensors
from .build import build_model
from .data_digests import data_digest
from .data_set import DataSet
from .examples import Examples
from .registries import MODELS, OWN
from .split import Split

__all__ = ["Checkpoint"]

_FORMAT = "eigensam-checkpoint/2"
_OPTIONAL = (SPLIT, EXAMPLES, CURVATURE)  # of runs that drew examples, or measured curvature
_MOST_SIZE = 100_000  # ours: of any side of an image, and of classes, where a network is built from them


def _dtype(model: nn.Module) -> torch.dtype:
    return next((p.dtype for p in model.parameters()), torch.get_default_dtype())


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _copy(own: nn.Module) -> nn.Module:
    """Of a network that may remember results of its last pass, such as a weight that a hook computes.

    Raises:
        InputError: it cannot be copied.
    """
    values = [value for module in own.modules() for value in vars(module).values()]
    results = [value for value in values if isinstance(value, Tensor) and not value.is_leaf]
    try:
        return copy.deepcopy(own, {id(each): each.detach().clone() for each in results})
    except Exception as error:  # of any network
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the network cannot be copied ({reason}); give one that copy.deepcopy can copy") from None


def _check_tensors(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Refuse those of another model; buffers that its own state leaves out may be of any form, or not made yet."""
    expected, known = whole_state(model), model.state_dict()
    for name in known if path.name == INITIAL else expected:  # passes have made the others
        if name not in tensors:
            raise InputError(f"{path} has no tensor '{name}': it belongs to another model than its sidecar says")
    for name, tensor in known.items():
        if tensors[name].dtype != tensor.dtype:
            raise InputError(f"{path}: '{name}' is of type {tensors[name].dtype}, the model needs {tensor.dtype}")
        if tensors[name].shape != tensor.shape:
            raise InputError(
                f"{path}: '{name}' has shape {tuple(tensors[name].shape)}, the model needs {tuple(tensor.shape)}: "
                f"it belongs to another model than its sidecar says"
            )
    empty = {
        f"{prefix}.{name}".removeprefix(".")
        for prefix, module in model.named_modules()
        for name, buffer in module._buffers.items()
        if buffer is None
    }
    extra = sorted(tensors.keys() - expected.keys() - empty)
    if extra:
        raise InputError(
            f"{path} has an unknown tensor '{extra[0]}': it belongs to another model than its sidecar says"
        )


def _fields(record: dict[str, Any]) -> dict[str, Any]:
    """The sidecar's entries, each of its type: text is not taken apart into numbers, nothing is rounded to one."""

    def entry(name: str, kind: type) -> Any:
        value = record[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(f"{name} {value!r:.60}")
        return value

    shape = entry("shape", list)
    sizes = [*shape, entry("classes", int)]
    image = record["model"] != OWN  # ours take nothing else
    if (
        len(sizes) < 2
        or (image and len(sizes) != 4)
        or not all(type(size) is int and size >= 1 for size in sizes)
        or (image and max(sizes) > _MOST_SIZE)
    ):
        raise ValueError(f"shape and classes {sizes!r:.60}")
    if entry("model", str) != OWN and record["model"] not in MODELS:
        raise ValueError(f"model {record['model']!r:.60}")
    digests = entry("sha256", dict)
    snapshots = {epoch: name for name in digests if (epoch := snapshot_epoch(name)) is not None}
    names = [CHECKPOINT, INITIAL, *(name for name in _OPTIONAL if name in digests), *snapshots.values()]
    if not all(isinstance(digests[name], str) for name in names):
        raise TypeError("sha256")
    last = record["settings"].get("epochs", 0) if isinstance(record["settings"], dict) else 0
    # Versions without an early stop did not write these.
    epochs = {name: entry(name, int) if name in record else last for name in ("epochs", "kept_epoch")}
    if not 0 <= epochs["kept_epoch"] <= epochs["epochs"]:
        raise ValueError(f"kept_epoch {epochs['kept_epoch']} of {epochs['epochs']}")
    if snapshots and not 1 <= min(snapshots) <= max(snapshots) <= epochs["epochs"]:
        raise ValueError(f"snapshots after epochs {sorted(snapshots)} of {epochs['epochs']}")
    return {
        "model": record["model"],
        "shape": tuple(shape),
        "classes": sizes[-1],
        "data": entry("data", str),
        "settings": entry("settings", dict),
        "seed": entry("seed", int),
        "data_sha256": entry("data_sha256", str) if "data_sha256" in record else "",
        "network_sha256": entry("network_sha256", str) if "network_sha256" in record else "",
        "whole_sha256": entry("whole_sha256", str) if "whole_sha256" in record else "",
        "sha256": {name: digests[name] for name in names},
        **epochs,
    }


@dataclass(frozen=True)
class Checkpoint:
    """What a run directory says of itself.

    Attributes:
        model: name of the network; ``OWN`` of one that has none.
        shape: of its inputs, ``(C, H, W)`` of images.
        classes: number of outputs.
        data: name of the data set it was trained on.
        settings: every hyper-parameter of the training.
        seed: of initialisation and minibatches.
        data_sha256: :func:`data_digest` of the data that it was trained on; empty in runs of versions that did not
            keep it.
        whole_sha256: of the data before anything was drawn, if part of the training set was kept for a certificate or
            for validation, or left out, or got other labels.
        sha256: of each tensor file, and of the curvature's rows: those that were written before the training are
            given, and those of the snapshots; the others are filled in by ``save``; checked by ``network``, ``split``,
            ``examples`` and ``curvature``.
        epochs: that were trained: fewer than the settings say where an early stop ended the training.
        kept_epoch: after which the network had these weights, counted from 1.
        network_sha256: of a network of one's own before the training: its structure and first parameters.
    """

    model: str
    shape: tuple[int, ...]
    classes: int
    data: str
    settings: dict[str, Any]
    seed: int
    data_sha256: str = ""
    whole_sha256: str = ""
    sha256: dict[str, str] = field(default_factory=dict)
    epochs: int = 0
    kept_epoch: int = 0
    network_sha256: str = ""

    def save(
        self, directory: Path, trained: nn.Module, initial: dict[str, Tensor], device: torch.device | str = "cpu"
    ) -> None:
        """Write the network trained on ``device``, its initial state and the sidecar; the sidecar comes last.

        Split and chosen examples have been written before the training began; ``sha256`` has what they were then.
        """
        directory = Path(directory)
        save_tensors(directory / CHECKPOINT, whole_state(trained))
        save_tensors(directory / INITIAL, initial)
        written = [name for name in (CHECKPOINT, INITIAL, CURVATURE) if (directory / name).is_file()]
        digests = {**self.sha256, **{name: _digest(directory / name) for name in written}}
        sidecar = {
            "format": _FORMAT,
            **asdict(self),
            "sha256": digests,
            "made_with": provenance(device, _dtype(trained)),
        }
        write_json(directory / SIDECAR, sidecar)

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the sidecar of a run directory.

        Raises:
            InputError: no run directory, or a sidecar that lacks what it must say.
        """
        directory = Path(directory)
        if not (directory / SIDECAR).is_file():
            raise InputError(f"{directory} is not a finished run: no {SIDECAR} in it; make one with 'eigensam train'")
        record = read_json(directory / SIDECAR)
        if not isinstance(record, dict) or record.get("format") != _FORMAT:
            raise InputError(f"{directory / SIDECAR} is not of format '{_FORMAT}'; train again with this version")
        try:
            return cls(**_fields(record))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{directory / SIDECAR} is damaged at {error}; train again") from None

    @property
    def snapshots(self) -> list[int]:
        """The epochs after which the network was kept besides, increasing."""
        return sorted(epoch for name in self.sha256 if (epoch := snapshot_epoch(name)) is not None)

    def network(
        self,
        directory: Path,
        *,
        initial: bool = False,
        snapshot: int | None = None,
        own: nn.Module | None = None,
    ) -> nn.Module:
        """The trained network (or its initial state, or a snapshot) of the run directory, on the CPU, in eval mode.

        Args:
            directory: of the run.
            initial: its initial state instead.
            snapshot: that after this epoch instead, one of ``snapshots``.
            own: of a run with a network of one's own, a module of the same architecture; it is copied.

        Raises:
            InputError: the tensors are truncated, of another model, or not safetensors.
        """
        if own is None:
            with torch.device("meta"):  # shapes without memory: a damaged sidecar may ask for any amount
                shapes = build_model(self.model, self.shape, self.classes)
        elif self.model != OWN:
            raise InputError(f"{directory} is a run of the network '{self.model}'; open it without one of your own")
        else:
            shapes = own
        name = INITIAL if initial else CHECKPOINT if snapshot is None else snapshot_name(snapshot)
        tensors = self._tensors(directory, shapes, name)
        model = build_model(self.model, self.shape, self.classes) if own is None else _copy(own).cpu()
        load_whole_state(model, tensors)
        return model.eval()

    def load(self, directory: Path, own: nn.Module) -> None:
        """Give the trained tensors to a module of the same architecture, as it is and where it is.

        Raises:
            InputError: as :meth:`network`.
        """
        load_whole_state(own, self._tensors(directory, own, CHECKPOINT))

    def _tensors(self, directory: Path, model: nn.Module, name: str) -> dict[str, Tensor]:
        """Those of a file, which have been found to be the model's."""
        path = Path(directory) / name
        content = read_input(path)
        tensors = parse_tensors(content, path)
        _check_tensors(model, tensors, path)
        if hashlib.sha256(content).hexdigest() != self.sha256.get(name):
            raise InputError(f"{path} is not the file that the sidecar was written for; restore it or train again")
        return tensors

    def split(self, directory: Path) -> Split | None:
        """How the training set was split before the training; None if the network was trained on all of it.

        Raises:
            InputError: the file is not the one that was written before the training, or no split.
        """
        path = Path(directory) / SPLIT
        tensors = self._drawn(path)
        return None if tensors is None else Split.from_tensors(tensors, path)

    def examples(self, directory: Path) -> Examples | None:
        """Which examples were trained on, kept for validation, and with which labels; None if nothing was drawn.

        Positions are those in the data set, or in the prior part of the split if there is one.

        Raises:
            InputError: the file is not the one that was written before the training, or no such examples.
        """
        path = Path(directory) / EXAMPLES
        tensors = self._drawn(path)
        return None if tensors is None else Examples.from_tensors(tensors, path)

    def curvature(self, directory: Path) -> list[Row]:
        """What was measured along the training, none if it was not asked for.

        Raises:
            InputError: the file is not the one that the training left.
        """
        path = Path(directory) / CURVATURE
        return [] if self._kept(path) is None else RowFile(path).read()

    def _drawn(self, path: Path) -> dict[str, Tensor] | None:
        """What was written before the training."""
        content = self._kept(path)
        return None if content is None else parse_tensors(content, path)

    def _kept(self, path: Path) -> bytes | None:
        """What not every run has."""
        if path.name not in self.sha256:
            return None
        content = read_input(path)
        if hashlib.sha256(content).hexdigest() != self.sha256[path.name]:
            raise InputError(f"{path} is not the file that the sidecar was written for; restore it or train again")
        return content

    def check_data(self, data: DataSet) -> None:
        """Refuse a data set other than the one the network was trained on."""
        if self.data != data.name:
            raise InputError(f"the run was trained on {self.data}, not {data.name}; load that data set")
        if (self.shape, self.classes) != (data.shape, data.classes):
            raise InputError(
                f"the sidecar says images {self.shape} and {self.classes} classes, {data.name} has {data.shape} and "
                f"{data.classes}: the sidecar is damaged, train again"
            )
        if self.data_sha256 and self.data_sha256 != data_digest(data):
            raise InputError(
                f"the run was trained on other examples than these, though both are called {data.name}; give the "
                "--data-root of the training, or train again"
            )
