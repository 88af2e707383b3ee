"""What a training is given of a data set: which examples, with which labels, and what is written down of it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from torch import Tensor

from ...ground.errors import InputError
from ...ground.run_files import EXAMPLES, SPLIT
from ...landscapes.runs.data_digests import data_digest
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.examples import Examples
from ...landscapes.runs.split import Split
from ...landscapes.tensor_files import save_tensors
from .settings import TrainSettings

__all__ = ["TrainingExamples"]


@dataclass(frozen=True)
class TrainingExamples:
    """The examples of one training.

    The split comes first: what it keeps for a certificate is neither trained on nor used for validation.

    Attributes:
        whole: the data set as it was given.
        data: what is trained on, with the labels that are trained on, and the test set.
        validation: images and labels for validation; None without.
        split: what is kept for a certificate; None without.
        examples: subset, validation and label noise within the split's prior part; None without.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> settings = TrainSettings("sgd", prior_fraction=0.5, validation_fraction=0.1)
        >>> found = TrainingExamples.draw(settings, load_data("digits"))
        >>> len(found.split.bound), len(found.data.train_targets), len(found.validation[1])
        (719, 646, 72)
    """

    whole: DataSet
    data: DataSet
    validation: tuple[Tensor, Tensor] | None
    split: Split | None
    examples: Examples | None

    @classmethod
    def draw(cls, settings: TrainSettings, whole: DataSet) -> Self:
        """What the settings say of a data set.

        Raises:
            InputError: too few examples for a part, or for one minibatch.
        """
        split = examples = validation = None
        data = whole
        if settings.prior_fraction < 1:
            split = Split.draw(len(whole.train_targets), settings.prior_fraction, settings.seed)
            data = split.prior_part(whole)
        if settings.subset or settings.validation_fraction or settings.label_noise:
            drawn_from = data
            examples = Examples.draw(
                drawn_from,
                subset=settings.subset,
                validation_fraction=settings.validation_fraction,
                label_noise=settings.label_noise,
                seed=settings.seed,
            )
            data = examples.training_part(drawn_from)
            validation = examples.validation_part(drawn_from) if len(examples.validation) else None
        if settings.batch_size > len(data.train_targets):
            left = "" if data is whole else f" that are left of {len(whole.train_targets)}"
            raise InputError(
                f"batch_size = {settings.batch_size} exceeds the {len(data.train_targets)} training examples{left}; "
                "lower it" + (", or keep fewer from the training" if left else "")
            )
        return cls(whole, data, validation, split, examples)

    @property
    def whole_sha256(self) -> str:
        """Digest of the data set as it was given; empty if all of it is trained on as it is."""
        return "" if self.data is self.whole else data_digest(self.whole)

    def write(self, directory: Path) -> dict[str, str]:
        """Write what was drawn, before the first step, so that nobody can choose it by the result.

        Returns:
            The SHA-256 of each file.
        """
        digests = {}
        for name, drawn in ((SPLIT, self.split), (EXAMPLES, self.examples)):
            path = directory / name
            if drawn is None:
                path.unlink(missing_ok=True)  # of a command with other settings that was killed in its first epoch
            else:
                save_tensors(path, drawn.to_tensors())
                digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return digests
