"""A run directory, opened in one place."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ...ground.errors import InputError
from ..networks.network import NetworkLandscape
from .checkpoint import Checkpoint
from .data import load_data
from .data_digests import data_digest
from .data_set import DataSet
from .metrics import read_metrics
from .registries import OWN
from .split import Split

__all__ = ["Run"]


class Run:
    """A finished training: what it says of itself, its network, its data, its loss as a landscape.

    Args:
        directory: made by ``eigensam train`` or :func:`train`.
        model: of a run with a network of one's own, a module of the same architecture, whose parameters do not matter.

    Attributes:
        directory: as it was given.
        checkpoint: the sidecar: names, shapes, settings, digests.

    Raises:
        InputError: no finished run, or a damaged one.

    Example:
        >>> import pathlib, tempfile
        >>> from eigensam.landscapes import load_data, top_eigenpairs
        >>> from eigensam.optim import TrainSettings, train
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "a"
        >>> run = train(TrainSettings("sgd", epochs=1), load_data("digits"), folder)
        >>> run.settings["optimizer"]["name"], len(run.metrics)
        ('sgd', 1)
        >>> f = run.landscape(batch_size=479)
        >>> f.size, top_eigenpairs(f, f.point(), max_products=5).values.shape
        (3, torch.Size([1]))
    """

    def __init__(self, directory: Path | str, model: nn.Module | None = None) -> None:
        self.directory, self._model = Path(directory), model
        self.checkpoint = Checkpoint.read(self.directory)

    def __fspath__(self) -> str:
        return str(self.directory)

    def __repr__(self) -> str:
        found = self.checkpoint
        optimizer = found.settings.get("optimizer")
        name = optimizer.get("name") if isinstance(optimizer, dict) else "?"
        return f"Run({str(self.directory)!r}: {found.model} on {found.data} with {name}, seed {found.seed})"

    @property
    def settings(self) -> dict[str, Any]:
        """Every hyper-parameter of the training, as JSON holds it."""
        return self.checkpoint.settings

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """One row for each epoch.

        Raises:
            InputError: the file is missing or damaged.
        """
        return read_metrics(self.directory)

    def network(self, *, initial: bool = False) -> nn.Module:
        """The trained network, or its initialisation, on the CPU in eval mode.

        Raises:
            InputError: the tensors are truncated, of another model, or not safetensors.
        """
        return self.checkpoint.network(self.directory, initial=initial, own=self._model)

    def data(self, root: Path | str | None = None, *, download: bool = False) -> DataSet:
        """The examples that it was trained on, and its test set.

        Args:
            root: folder of data that are not built in.
            download: whether what is missing may be fetched there.

        Raises:
            InputError: they are missing, damaged, or not those of the training.
        """
        if self.settings.get("data") == OWN:
            raise InputError("the run was trained on data of your own, which have no name to load them by; give them")
        found = load_data(self.checkpoint.data, root, download=download)
        split = self.split
        if split is not None:
            self.check_whole(found)
            found = split.prior_part(found)
        self.checkpoint.check_data(found)
        return found

    @property
    def split(self) -> Split | None:
        """Which examples were kept for a certificate; None if it was trained on all of the training set.

        Raises:
            InputError: the file is not the one that was written before the training.
        """
        return self.checkpoint.split(self.directory)

    def check_whole(self, data: DataSet) -> None:
        """Refuse data other than those that were split before the training.

        Raises:
            InputError: other examples.
        """
        if data_digest(data) != self.checkpoint.whole_sha256:
            raise InputError(
                f"the run's split is one of other examples than these, though both are called {data.name}; give the "
                "--data-root of the training, or train again"
            )

    def landscape(
        self,
        data: DataSet | None = None,
        *,
        batch_size: int,
        batches: int | None = None,
        dtype: torch.dtype = torch.float32,
        points_per_pass: int = 1,
        initial: bool = False,
    ) -> NetworkLandscape:
        """The cross-entropy of the training set around the trained point, as minibatches in the set's order.

        Args:
            data: what :meth:`data` has returned; None loads it, which works for data that are built in.
            batch_size: examples of each minibatch; a rest is left out.
            batches: use only the first so many; None is all.
            dtype: of parameters and inputs.
            points_per_pass: parameters that pass through the network at a time.
            initial: around the initialisation instead.

        Raises:
            InputError: data that are not those of the training; more minibatches than there are.
        """
        data = self.data() if data is None else data
        self.checkpoint.check_data(data)
        if batch_size < 1 or (batches is not None and batches < 1):
            raise InputError(
                f"batch_size = {batch_size}, batches = {batches}; give at least 1, or None for all batches"
            )
        count = None if batches is None else batches * batch_size
        if count is not None and count > len(data.train_targets):
            raise InputError(f"{batches} batches of {batch_size} are more than the {len(data.train_targets)} examples")
        return NetworkLandscape.from_tensors(
            self.network(initial=initial).to(dtype),
            cross_entropy,
            data.train_inputs[:count].to(dtype),
            data.train_targets[:count],
            batch_size=batch_size,
            points_per_pass=points_per_pass,
        )
