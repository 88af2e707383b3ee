"""Data sets as tensors: scikit-learn's digits built in, the rest through torchvision under a data root."""

from pathlib import Path

import torch

from ...ground.errors import InputError
from .data_set import DataSet
from .registries import DATA

__all__ = ["check_data", "load_data"]


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
        check_data(data)
        return data
    if root is None:
        raise InputError(f"data '{name}' is not built in; give --data-root FOLDER (and --download to fetch it there)")
    if not download and not Path(root).is_dir():
        raise InputError(f"data root {root} is not a folder; give one that holds {name}, or add --download")
    data = source.load(name, Path(root), download=download)
    try:
        check_data(data)
    except InputError as error:
        raise InputError(f"{error}; the files in {root} are damaged, remove and restore them") from None
    return data


def check_data(data: DataSet) -> None:
    """Refuse data that are nonsense: torch would index out of bounds, or train on it.

    Raises:
        InputError: numbers of inputs and labels that differ, labels of another type than int64 or that are no class,
            inputs that are not finite or require gradients, other shapes or types for training and test.

    Example:
        >>> import torch
        >>> x, y = torch.ones(2, 3), torch.tensor([0, 2])
        >>> check_data(DataSet("mine", x, y, x, y.clamp(max=1), classes=2, augmentable=False))
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: cannot use mine: the training label 2 is not one of 0 to 1
    """
    faults = []
    parts = {"training": (data.train_inputs, data.train_targets), "test": (data.test_inputs, data.test_targets)}
    for part, (inputs, targets) in parts.items():
        if inputs.ndim < 2 or targets.ndim != 1 or len(inputs) != len(targets) or not inputs.numel():
            faults.append(f"{tuple(inputs.shape)} {part} inputs have {tuple(targets.shape)} labels")
        elif targets.dtype != torch.int64:
            faults.append(f"the {part} labels are of type {targets.dtype}, not torch.int64")
        elif inputs.requires_grad or not bool(inputs.isfinite().all()):
            faults.append(f"the {part} inputs " + ("require gradients" if inputs.requires_grad else "are not finite"))
        elif int(targets.min()) < 0 or int(targets.max()) >= data.classes:
            wrong = targets[(targets < 0) | (targets >= data.classes)][0]
            faults.append(f"the {part} label {int(wrong)} is not one of 0 to {data.classes - 1}")
    if data.train_inputs.dtype != data.test_inputs.dtype:
        faults.append(f"training inputs are of type {data.train_inputs.dtype}, test inputs {data.test_inputs.dtype}")
    if data.train_inputs.shape[1:] != data.test_inputs.shape[1:]:
        faults.append(
            f"training images {tuple(data.train_inputs.shape[1:])}, test images {tuple(data.test_inputs.shape[1:])}"
        )
    if faults:
        raise InputError(f"cannot use {data.name}: {faults[0]}")
