"""Which examples of a data set are trained on, which judge the training meanwhile, and with which labels."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from ...ground.errors import InputError
from .data_set import DataSet

__all__ = ["Examples"]


@dataclass(frozen=True)
class Examples:
    """Which examples are trained on and which are kept for validation, with which labels.

    Of ``n`` examples first ``m`` are drawn (the subset), of these ``round(v m)`` for validation; the others are trained
    on, and exactly ``round(p k)`` of their ``k`` labels are replaced by noise. All draws are uniform and look at no
    label: classes are not balanced (no stratification), as for :class:`Split`, so that each part is a sample of
    independent draws if the whole is. The noise is symmetric: a label that is replaced becomes each of the other
    ``C - 1`` classes with the same probability, never its own; labels of validation and test stay those of the data
    set. Because ``p`` is a share of labels that are wrong, ``p = (C - 1)/C`` leaves labels that say nothing.

    The positions are those in the data set that was drawn from: in a run with a :class:`Split`, its prior part.

    Attributes:
        train: positions of the examples to train on, int64, in increasing order, shape ``(k,)``.
        validation: positions of those for validation, int64, in increasing order; may be empty.
        targets: labels of ``train`` that are trained on, after the noise, int64, shape ``(k,)``.
        clean: labels of ``train`` in the data set, int64, shape ``(k,)``.

    Raises:
        InputError: positions that overlap, repeat or are not increasing; labels that do not fit them.

    Reference:
        Symmetric noise: Foret et al. (2021), Section 3.3.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> data = load_data("digits")
        >>> found = Examples.draw(data, subset=1000, validation_fraction=0.1, label_noise=0.2, seed=0)
        >>> len(found.train), len(found.validation), found.replaced
        (900, 100, 180)
        >>> found.training_part(data).train_inputs.shape, found.validation_part(data)[0].shape
        (torch.Size([900, 1, 8, 8]), torch.Size([100, 1, 8, 8]))
    """

    train: Tensor
    validation: Tensor
    targets: Tensor
    clean: Tensor

    def __post_init__(self) -> None:
        for name, found in self.to_tensors().items():
            if found.dtype != torch.int64 or found.ndim != 1 or bool((found < 0).any()):
                raise InputError(
                    f"'{name}' of the chosen examples has type {found.dtype}, shape {tuple(found.shape)}: need "
                    "integers that are at least 0; train again"
                )
        for name, part in (("training", self.train), ("validation", self.validation)):
            if bool((part.diff() <= 0).any()):
                raise InputError(f"the {name} positions repeat or are not in increasing order; train again")
        if not len(self.train) == len(self.targets) == len(self.clean) > 0:
            raise InputError(
                f"{len(self.train)} training examples have {len(self.targets)} labels, {len(self.clean)} before the "
                "noise: need one each, of at least one example; train again"
            )
        if common := int(torch.isin(self.train, self.validation).sum()):
            raise InputError(
                f"{common} examples are both trained on and kept for validation; the parts must be disjoint"
            )

    @classmethod
    def draw(
        cls,
        data: DataSet,
        *,
        subset: int = 0,
        validation_fraction: float = 0.0,
        label_noise: float = 0.0,
        seed: int,
    ) -> Self:
        """Draw the parts and the noise.

        Subset, validation, noise and the classes it puts have a generator each, whose seed is hashed from ``seed`` and
        the purpose: neighbouring seeds, and other draws of a run with the same seed, are unrelated. Every one of the
        ``n`` examples has a random rank for each purpose, and a class to become, whether or not the option is used, so
        that one option changes another's draw no more than it must: a smaller subset lies in a larger one, more noise
        contains less, and an example that is noisy with a validation part and without becomes the same class.

        Args:
            data: whose training set is drawn from.
            subset: number ``m`` of examples to use, for training and validation together; 0 is all of them.
            validation_fraction: share ``v`` of these that is kept for validation, in [0, 1), rounded to whole examples.
            label_noise: share ``p`` of the training labels that are replaced, in [0, 1), rounded to whole labels.
            seed: of the draws.

        Raises:
            InputError: more examples than there are; a part that would be empty; noise that changes no label, or has
                no other class to choose.
        """
        count, total = len(data.train_targets), subset or len(data.train_targets)
        if not 0 < total <= count:
            raise InputError(
                f"subset = {subset} of {count} training examples of {data.name}; give a number from 1 to {count}, "
                "or 0 for all"
            )
        for name, share in (("validation_fraction", validation_fraction), ("label_noise", label_noise)):
            if not 0 <= share < 1:
                raise InputError(f"{name} = {share} must lie in [0, 1)")
        kept = round(validation_fraction * total)
        if not (kept if validation_fraction else 1) or kept >= total:
            raise InputError(
                f"validation_fraction = {validation_fraction} of {total} examples leaves {total - kept} to train on "
                f"and {kept} for validation; give a fraction such as 0.1"
            )
        replaced = round(label_noise * (total - kept))
        if label_noise and (not replaced or data.classes < 2):
            raise InputError(
                f"label_noise = {label_noise} changes {replaced} of {total - kept} labels of {data.classes} classes; "
                "give more, such as 0.2, or 0 for none"
            )
        used = _first(torch.arange(count), total, "subset", seed, count)
        validation = _first(used, kept, "validation", seed, count)
        train = used[~torch.isin(used, validation)]
        noisy = _first(train, replaced, "label noise", seed, count)
        clean = data.train_targets[train].cpu()
        # Every example of the data set has a class that it would become, so that other options leave it as it is.
        steps = torch.randint(1, max(2, data.classes), (count,), generator=_generator("other class", seed))
        other = (clean + steps[train]) % data.classes
        return cls(train, validation, torch.where(torch.isin(train, noisy), other, clean), clean)

    @property
    def replaced(self) -> int:
        """How many training labels are noise."""
        return int((self.targets != self.clean).sum())

    def training_part(self, data: DataSet) -> DataSet:
        """The data set with what is trained on as its training set, the noise in its labels.

        Raises:
            InputError: a data set that does not have these examples.
        """
        self._check(data)
        where = self.train.to(data.train_inputs.device)
        targets = self.targets.to(data.train_targets.device)
        return replace(data, train_inputs=data.train_inputs[where], train_targets=targets)

    def validation_part(self, data: DataSet) -> tuple[Tensor, Tensor]:
        """Images and labels for validation, the labels as the data set has them.

        Raises:
            InputError: a data set that does not have these examples.
        """
        self._check(data)
        where = self.validation.to(data.train_inputs.device)
        return data.train_inputs[where], data.train_targets[where]

    def _check(self, data: DataSet) -> None:
        positions, count = torch.cat([self.train, self.validation]), len(data.train_targets)
        if int(positions.max()) >= count:
            raise InputError(
                f"the chosen examples go up to position {int(positions.max())}, {data.name} has {count} training "
                "examples; give the data of the training"
            )
        if not torch.equal(data.train_targets.cpu()[self.train], self.clean) or int(self.targets.max()) >= data.classes:
            raise InputError(
                f"the chosen examples have other labels than those of {data.name} at their positions; give the data of "
                "the training"
            )

    def to_tensors(self) -> dict[str, Tensor]:
        """As they are kept in a file."""
        return {"train": self.train, "validation": self.validation, "targets": self.targets, "clean": self.clean}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], path: Path) -> Self:
        """Inverse of :meth:`to_tensors`; ``path`` is for the message.

        Raises:
            InputError: other tensors, or none that can be such examples.
        """
        if tensors.keys() != {"train", "validation", "targets", "clean"}:
            raise InputError(f"{path} holds {', '.join(sorted(tensors)) or 'nothing'}, no chosen examples; train again")
        return cls(**tensors)


def _generator(purpose: str, seed: int) -> torch.Generator:
    """For one purpose: numbers of neighbouring seeds, or of others who use the same seed, have nothing in common."""
    words = hashlib.sha256(f"examples {purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(words[:8], "little") >> 1)


def _first(positions: Tensor, count: int, purpose: str, seed: int, examples: int) -> Tensor:
    """So many of the positions, in increasing order: those of the lowest ranks in a random order of all examples."""
    ranks = torch.randperm(examples, generator=_generator(purpose, seed))
    return positions[ranks[positions].argsort()[:count]].sort().values
