"""Data sets as tensors: scikit-learn's digits built in, the rest through torchvision under a data root."""

from pathlib import Path

from ...ground.errors import InputError
from .data_set import DataSet
from .registries import DATA

__all__ = ["load_data"]


def load_data(name: str, root: Path | str | None = None, *, download: bool = False) -> DataSet:
    """Load a data set by name.

    Args:
        name: one of ``DATA``.
        root: folder in torchvision's layout; None for data that are built in, such as ``digits``.
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
    source = DATA[name]
    if source.built_in:
        if root is not None or download:
            raise InputError(f"data '{name}' is built in; leave --data-root and --download out")
        data = source.load(name, None, download=False)
        _check(data, "what is built in")
        return data
    if root is None:
        raise InputError(f"data '{name}' is not built in; give --data-root FOLDER (and --download to fetch it there)")
    if not download and not Path(root).is_dir():
        raise InputError(f"data root {root} is not a folder; give one that holds {name}, or add --download")
    data = source.load(name, Path(root), download=download)
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
