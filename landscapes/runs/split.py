"""A training set in two parts: one that a prior is trained on, one that is kept for a certificate."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from ...ground.errors import InputError
from .data_set import DataSet

__all__ = ["Split"]


@dataclass(frozen=True)
class Split:
    """Which examples trained the network, and which it has never seen.

    The parts are drawn uniformly and without replacement, without a look at the labels: then each of them is a sample
    of independent draws if the whole is, which a stratified split would not be.

    Attributes:
        prior: positions of the examples to train on, int64, in increasing order.
        bound: positions of the others, in the random order of the draw: the first ``m`` of them are a random subset.

    Raises:
        InputError: parts that overlap, repeat or leave out an example.

    Example:
        >>> split = Split.draw(10, 0.5, seed=0)
        >>> len(split.prior), sorted([*split.prior.tolist(), *split.bound.tolist()]) == list(range(10))
        (5, True)
    """

    prior: Tensor
    bound: Tensor

    def __post_init__(self) -> None:
        parts = {"prior": self.prior, "bound": self.bound}
        for name, part in parts.items():
            if part.dtype != torch.int64 or part.ndim != 1 or not len(part):
                raise InputError(f"the {name} part has type {part.dtype}, shape {tuple(part.shape)}: need positions")
        both, count = torch.cat([self.prior, self.bound]), len(self.prior) + len(self.bound)
        if common := len(torch.isin(self.prior, self.bound).nonzero()):
            raise InputError(f"{common} examples are in both parts of the split; a certificate needs disjoint parts")
        if not torch.equal(both.sort().values, torch.arange(count)):
            raise InputError(f"this is no split of {count} examples: positions repeat or are left out; draw it anew")

    @classmethod
    def draw(cls, examples: int, fraction: float, seed: int) -> Self:
        """Split so many examples at random.

        Args:
            examples: in all.
            fraction: share of the prior part, in (0, 1), rounded to whole examples.
            seed: of the draw, which uses a generator of its own.

        Raises:
            InputError: a part would be empty.
        """
        count = round(fraction * examples)
        if not 0 < count < examples:
            raise InputError(
                f"prior_fraction = {fraction} of {examples} examples leaves {count} to train on and "
                f"{examples - count} for a certificate; give a fraction such as 0.5"
            )
        order = torch.randperm(examples, generator=torch.Generator().manual_seed(seed))
        return cls(order[:count].sort().values, order[count:].clone())

    def prior_part(self, data: DataSet) -> DataSet:
        """The data set with the prior part as its training set.

        Raises:
            InputError: a data set of another size.
        """
        self._check(data)
        return replace(data, train_inputs=data.train_inputs[self.prior], train_targets=data.train_targets[self.prior])

    def bound_part(self, data: DataSet) -> DataSet:
        """The data set with the kept examples as its training set, in the order of the draw."""
        self._check(data)
        return replace(data, train_inputs=data.train_inputs[self.bound], train_targets=data.train_targets[self.bound])

    def _check(self, data: DataSet) -> None:
        count = len(self.prior) + len(self.bound)
        if len(data.train_targets) != count:
            raise InputError(
                f"the split is one of {count} examples, {data.name} has {len(data.train_targets)}; "
                "give the data of the training"
            )

    def to_tensors(self) -> dict[str, Tensor]:
        """As they are kept in a file."""
        return {"prior": self.prior, "bound": self.bound}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], path: Path) -> Self:
        """Inverse of :meth:`to_tensors`; ``path`` is for the message.

        Raises:
            InputError: other tensors, or no split.
        """
        if tensors.keys() != {"prior", "bound"}:
            raise InputError(f"{path} holds {', '.join(sorted(tensors)) or 'nothing'}, not a split; train again")
        return cls(tensors["prior"], tensors["bound"])
