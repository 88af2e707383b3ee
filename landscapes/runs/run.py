"""A run directory, opened in one place."""

import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...ground.errors import InputError
from ...ground.row_file import Row
from ...ground.run_files import SPLIT
from ..networks.network import NetworkLandscape
from .checkpoint import Checkpoint
from .data import load_data
from .data_digests import data_digest
from .data_set import DataSet, converted
from .examples import Examples
from .metrics import read_metrics
from .registries import OWN
from .split import Split

__all__ = ["Run"]


class Run:
    """A finished training: what it says of itself, its network, its data, its loss as a landscape.

    Args:
        directory: made by ``eigensam train`` or :func:`train`; or a run, which is opened once more.
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

    def __init__(self, directory: "Path | str | Run", model: nn.Module | None = None) -> None:
        self.directory, self._model = Path(directory), model
        self._epoch: int | None = None  # of at_epoch
        if isinstance(directory, Run):
            self._epoch, self._model = directory._epoch, directory._model if model is None else model
        self.checkpoint = Checkpoint.read(self.directory)

    def __fspath__(self) -> str:
        return str(self.directory)

    def __repr__(self) -> str:
        found = self.checkpoint
        optimizer = found.settings.get("optimizer")
        name = optimizer.get("name") if isinstance(optimizer, dict) else "?"
        after = "" if self._epoch is None else f" after epoch {self._epoch}"
        return f"Run({str(self.directory)!r}{after}: {found.model} on {found.data} with {name}, seed {found.seed})"

    @property
    def settings(self) -> dict[str, Any]:
        """Every hyper-parameter of the training, as JSON holds it."""
        return self.checkpoint.settings

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """One row for each epoch; of a run :meth:`at_epoch`, up to that epoch.

        Raises:
            InputError: the file is missing or damaged.
        """
        return read_metrics(self.directory)[: self._epoch]

    @cached_property
    def curvature(self) -> list[Row]:
        """What was measured every few steps, see :class:`CurvatureRecorder`; none without ``record_every``.

        A row's ``step`` is the number of steps that had been taken.

        Raises:
            InputError: the file is missing or not the one that the training left.
        """
        return self.checkpoint.curvature(self.directory)

    @property
    def epoch(self) -> int:
        """After which the network had its weights, from 1; 0 is the initialisation."""
        return self.checkpoint.kept_epoch if self._epoch is None else self._epoch

    @property
    def snapshots(self) -> list[int]:
        """The epochs after which the network was kept besides, increasing; none without ``snapshot_every``."""
        return self.checkpoint.snapshots

    def at_epoch(self, epoch: int) -> Self:
        """This run with the network as it was after an epoch; data, settings and measured curvature stay.

        Args:
            epoch: one of :attr:`snapshots`, the epoch whose weights are kept, or 0, the initialisation.

        Raises:
            InputError: no network of that epoch was kept.

        Example:
            >>> import pathlib, tempfile
            >>> from eigensam.landscapes import load_data
            >>> from eigensam.optim import TrainSettings, train
            >>> out = pathlib.Path(tempfile.mkdtemp()) / "a"
            >>> run = train(TrainSettings("sgd", epochs=3, subset=128, snapshot_every=2), load_data("digits"), out)
            >>> run.snapshots, run.epoch, run.at_epoch(2).kept["epoch"]
            ([2], 3, 2)
        """
        known = sorted({0, self.checkpoint.kept_epoch, *self.snapshots})
        if epoch not in known:
            raise InputError(
                f"{self.directory} has no network of epoch {epoch}; choose one of {', '.join(map(str, known))}, or "
                "train with --snapshot-every (snapshot_every), which keeps more of them"
            )
        found = copy.copy(self)
        found.__dict__.pop("metrics", None)
        found._epoch = int(epoch)
        return found

    @property
    def kept(self) -> dict[str, Any]:
        """The row of metrics that belongs to the weights: the last one, but for a training that has stopped early.

        Raises:
            InputError: they are those of the initialisation, which was not evaluated.
        """
        if not self.epoch:
            raise InputError(f"{self.directory}: metrics begin with epoch 1; there is no row of the initialisation")
        return self.metrics[self.epoch - 1]

    def network(self, *, initial: bool = False) -> nn.Module:
        """The trained network (of :meth:`at_epoch`, if asked for), or its initialisation, on the CPU in eval mode.

        Raises:
            InputError: the tensors are truncated, of another model, or not safetensors.
        """
        other = None if self._epoch in (None, self.checkpoint.kept_epoch) else self._epoch
        return self.checkpoint.network(self.directory, initial=initial or other == 0, snapshot=other, own=self._model)

    def data(self, root: Path | str | None = None, *, download: bool = False) -> DataSet:
        """The examples that it was trained on, with the labels it was trained on, and its test set.

        After label noise these are not the labels of the data set: :meth:`clean` has those. What was kept for
        validation or a certificate, or left out, is not among them.

        Args:
            root: folder of data that are not built in.
            download: whether what is missing may be fetched there.

        Raises:
            InputError: they are missing, damaged, or not those of the training.
        """
        return self.training_part(self._loaded(root, download))

    def validation(self, root: Path | str | None = None, *, download: bool = False) -> tuple[Tensor, Tensor] | None:
        """Images and labels that were kept for validation, the labels as the data set has them; None without.

        Args:
            root: folder of data that are not built in.
            download: whether what is missing may be fetched there.

        Raises:
            InputError: they are missing, damaged, or not those of the training.
        """
        if (examples := self.examples) is None or not len(examples.validation):
            return None
        whole = self._loaded(root, download)
        self.training_part(whole)
        return examples.validation_part(self._prior_part(whole))

    def training_part(self, whole: DataSet) -> DataSet:
        """What was trained on of a data set, with the labels that were trained on.

        Args:
            whole: the data set before anything was drawn.

        Raises:
            InputError: another one than that of the training.
        """
        found = self._prior_part(whole)
        if (examples := self.examples) is not None:
            found = examples.training_part(found)
        self.checkpoint.check_data(found)
        return found

    def _loaded(self, root: Path | str | None, download: bool) -> DataSet:
        if self.settings.get("data") == OWN:
            raise InputError(
                "the run was trained on data of your own, which have no name to load them by; give them: "
                "run.training_part(data), run.landscape(data, ...)"
            )
        return load_data(self.checkpoint.data, root, download=download)

    def _prior_part(self, whole: DataSet) -> DataSet:
        if self.checkpoint.whole_sha256:
            self.check_whole(whole)
        split = self.split
        return whole if split is None else split.prior_part(whole)

    def clean(self, data: DataSet) -> DataSet:
        """The examples that it was trained on with the data set's own labels in place of label noise.

        Args:
            data: what :meth:`data` has returned.

        Raises:
            InputError: data that are not those of the training.
        """
        self.checkpoint.check_data(data)
        examples = self.examples
        return data if examples is None else replace(data, train_targets=examples.clean)

    @property
    def remarks(self) -> list[str]:
        """Sentences that a reader of numbers about its training loss has to know, :meth:`at_epoch` too; mostly none.

        Raises:
            InputError: the file of its examples is not the one that was written before the training.
        """
        found = []
        if self._epoch is not None:
            of = f"after epoch {self._epoch} of {self.checkpoint.epochs}" if self._epoch else "before the first epoch"
            found.append(f"The network is the one {of}.")
        if (examples := self.examples) is not None and examples.replaced:
            found.append(f"{examples.replaced} of the {len(examples.train)} labels that it was trained on are noise.")
        if smoothing := self.settings.get("label_smoothing"):
            found.append(f"It was trained with label smoothing {smoothing}; numbers are of the plain cross-entropy.")
        return found

    @property
    def examples(self) -> Examples | None:
        """Which examples of its data (of the split's prior part) it was trained on; None if on all as they are.

        Raises:
            InputError: the file is not the one that was written before the training.
        """
        return self.checkpoint.examples(self.directory)

    @property
    def split(self) -> Split | None:
        """Which examples were kept for a certificate; None if it was trained on all of the training set.

        Raises:
            InputError: the file is not the one that was written before the training.
        """
        return self.checkpoint.split(self.directory)

    def check_whole(self, data: DataSet) -> None:
        """Refuse data other than those of which parts were drawn before the training.

        Raises:
            InputError: other examples.
        """
        if data_digest(data) != self.checkpoint.whole_sha256:
            drawn = "split" if SPLIT in self.checkpoint.sha256 else "choice of examples"
            raise InputError(
                f"the run's {drawn} is one of other examples than these, though both are called {data.name}; give the "
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

        Plain, also if the training smoothed labels; with the labels that were trained on, noise included.

        Args:
            data: what :meth:`data` has returned; None loads it, which works for data that are built in.
            batch_size: examples of each minibatch; a rest is left out.
            batches: use only the first so many; None is all.
            dtype: of parameters and inputs; those that are numbers of something, such as words, stay.
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
            converted(data.train_inputs[:count], dtype),
            data.train_targets[:count],
            batch_size=batch_size,
            points_per_pass=points_per_pass,
        )
