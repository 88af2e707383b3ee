"""Data sets as tensors: scikit-learn's digits built in, the rest through torchvision under a data root.

Both libraries take seconds to import and are imported only where they are used.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...ground.errors import InputError

__all__ = ["DATA", "DataSet", "load_data"]


@dataclass(frozen=True)
class DataSet:
    """A classification data set in memory.

    Attributes:
        name: as on the command line.
        train_inputs: standardised images, float32, shape ``(n, C, H, W)``.
        train_targets: class numbers, int64, shape ``(n,)``.
        test_inputs: as ``train_inputs``.
        test_targets: as ``train_targets``.
        classes: number of classes.
        augmentable: natural images, for which padded crops and flips keep the class.
    """

    name: str
    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: int
    augmentable: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        channels, height, width = self.train_inputs.shape[1:]
        return channels, height, width


def _digits() -> DataSet:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    # 0..16 grey levels; the constants do not depend on the split, as PAC-Bayes priors need.
    images = torch.from_numpy(bunch.images).float().unsqueeze(1) / 8 - 1
    targets = torch.from_numpy(bunch.target).long()
    train, test = train_test_split(np.arange(len(targets)), test_size=0.2, random_state=0, stratify=bunch.target)
    return DataSet("digits", images[train], targets[train], images[test], targets[test], 10, False)


@dataclass(frozen=True)
class _Source:
    """How torchvision's class is called and its images standardised (published channel statistics)."""

    factory: str
    arguments: tuple[dict[str, object], dict[str, object]]  # of the train and of the test part
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: int
    augmentable: bool


_TRAIN_FLAG: tuple[dict[str, object], dict[str, object]] = ({"train": True}, {"train": False})
_SOURCES = {
    "mnist": _Source("MNIST", _TRAIN_FLAG, (0.1307,), (0.3081,), 10, False),
    "fashion-mnist": _Source("FashionMNIST", _TRAIN_FLAG, (0.2860,), (0.3530,), 10, True),
    "cifar10": _Source("CIFAR10", _TRAIN_FLAG, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), 10, True),
    "cifar100": _Source("CIFAR100", _TRAIN_FLAG, (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762), 100, True),
    "svhn": _Source(
        "SVHN",
        ({"split": "train"}, {"split": "test"}),
        (0.4377, 0.4438, 0.4728),
        (0.1980, 0.2010, 0.1970),
        10,
        False,
    ),
}
DATA: tuple[str, ...] = ("digits", *_SOURCES)
"""Names that :func:`load_data` knows."""


def _tensors(part: Any, source: _Source) -> tuple[Tensor, Tensor]:
    images = torch.as_tensor(part.data)
    if images.ndim == 3:  # grey
        images = images.unsqueeze(1)
    elif images.shape[-1] == 3:  # channels last
        images = images.permute(0, 3, 1, 2)
    targets = part.targets if hasattr(part, "targets") else part.labels
    mean, std = (torch.tensor(constant).view(-1, 1, 1) for constant in (source.mean, source.std))
    return (images.float() / 255 - mean) / std, torch.as_tensor(targets).long()


def load_data(name: str, root: Path | str | None = None, *, download: bool = False) -> DataSet:
    """Load a data set by name.

    Args:
        name: one of ``DATA``.
        root: folder in torchvision's layout; None for ``digits``.
        download: let torchvision fetch (or unpack) what is missing under ``root``.

    Raises:
        InputError: unknown name, no root (or one for ``digits``), or files missing or damaged under the root, labels
            that are missing or no class among them. CIFAR's files are pickles and
            are compared with the checksums of the official ones before they are opened; MNIST's unpacked files are
            plain arrays and are not compared.

    Example:
        >>> data = load_data("digits")
        >>> data.shape, len(data.train_targets), len(data.test_targets)
        ((1, 8, 8), 1437, 360)
    """
    if name == "digits":
        if root is not None or download:
            raise InputError("data 'digits' is built in; leave --data-root and --download out")
        return _digits()
    if name not in _SOURCES:
        raise InputError(f"unknown data '{name}'; choose one of: {', '.join(DATA)}")
    if root is None:
        raise InputError(f"data '{name}' is not built in; give --data-root FOLDER (and --download to fetch it there)")
    if not download and not Path(root).is_dir():
        raise InputError(f"data root {root} is not a folder; give one that holds {name}, or add --download")
    from torchvision import datasets

    source = _SOURCES[name]
    factory = getattr(datasets, source.factory)
    try:
        train, test = (factory(root=str(root), download=download, **arguments) for arguments in source.arguments)
    except Exception as error:  # torchvision raises many kinds on missing and damaged files, AssertionError among them
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". You can use")[0]
        repair = "remove damaged files there, check the network and that the folder is writable"
        if not download:
            repair = "give a folder with the complete official files, or add --download to fetch them"
        raise InputError(f"cannot load {name} from {root}: {reason}; {repair}") from None
    data = DataSet(name, *_tensors(train, source), *_tensors(test, source), source.classes, source.augmentable)
    _check(data, root)
    return data


def _check(data: DataSet, root: Path | str) -> None:
    """Files that can be read and are nonsense: torch would index out of bounds, or train on it."""
    faults = []
    parts = {"training": (data.train_inputs, data.train_targets), "test": (data.test_inputs, data.test_targets)}
    for part, (inputs, targets) in parts.items():
        if inputs.ndim != 4 or targets.ndim != 1 or len(inputs) != len(targets) or not inputs.numel():
            faults.append(f"{tuple(inputs.shape)} {part} images have {tuple(targets.shape)} labels")
        elif int(targets.min()) < 0 or int(targets.max()) >= data.classes:
            wrong = targets[(targets < 0) | (targets >= data.classes)][0]
            faults.append(f"the {part} label {int(wrong)} is not one of 0 to {data.classes - 1}")
    if data.train_inputs.shape[1:] != data.test_inputs.shape[1:]:
        faults.append(
            f"training images {tuple(data.train_inputs.shape[1:])}, test images {tuple(data.test_inputs.shape[1:])}"
        )
    if faults:
        raise InputError(
            f"cannot use {data.name} from {root}: {faults[0]}; the files are damaged, remove and restore them"
        )
