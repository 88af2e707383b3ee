"""What is compared to settle whether Eigen-SAM's eigenvector term does more than a longer perturbation."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from ...ground.errors import InputError
from ...landscapes.runs.data_set import DataSet

__all__ = ["DIRECTIONS", "FAMILIES", "LAPTOP", "QUICK", "Condition", "Pair", "conditions", "used_data"]

DIRECTIONS = {
    "minibatch": "the eigenvector of the minibatch at hand, five Lanczos products from the last estimate",
    "whole": "the eigenvector of the whole training loss, as many products as settle it",
    "random": "a random unit vector in its place, drawn anew at each refresh",
}
"""Where Eigen-SAM's ``v`` comes from."""

FAMILIES = ("main", "further", "random")
"""Questions that are judged together: few that were chosen beforehand, all others, and those of a random vector."""

_LENGTHS = 200  # control lengths are multiples of one part in so many: 0.25 % off at most, and runs are shared


@dataclass(frozen=True)
class Pair:
    """A network, its data, and how it is trained. All numbers are ours.

    Attributes:
        name: in pictures and tables.
        data: name of a data set.
        model: name of a network.
        train: training examples that are used, equally many of each class where that goes; 0 is all.
        test: test examples, likewise.
        pool: images are averaged over squares of this side first.
        batch_size: examples of a minibatch; a divisor of ``train``, so that every example is used in every epoch.
        lr: constant learning rate.
        momentum: of the SGD that takes the step.
        epochs: passes over the training examples.
        rho: radius of SAM and Eigen-SAM.
        seeds: runs of each condition; run ``i`` of all conditions has the same start and the same minibatches.
        looks: times at which eigenvalue and alignment are measured, the last one at the end.
        partitions: random partitions into minibatches over which they are measured.

    Raises:
        InputError: a number that is out of range.
    """

    name: str
    data: str
    model: str
    train: int
    test: int = 0
    pool: int = 1
    batch_size: int = 64
    lr: float = 0.1
    momentum: float = 0.0
    epochs: int = 30
    rho: float = 0.1
    seeds: int = 8
    looks: int = 2
    partitions: int = 1

    def __post_init__(self) -> None:
        least = {
            "seeds": 1,
            "pool": 1,
            "partitions": 1,
            "batch_size": 1,
            "epochs": 1,
            "looks": 1,
            "train": 0,
            "test": 0,
        }
        found = {name: getattr(self, name) for name in least}
        if any(type(found[name]) is not int or found[name] < low for name, low in least.items()):
            said = ", ".join(f"{name} = {value}" for name, value in found.items())
            raise InputError(f"{self.name}: {said}; give whole numbers, at least 1, of examples 0 for all")
        if self.looks > self.epochs:
            raise InputError(f"{self.name}: {self.looks} looks in {self.epochs} epochs; give no more looks than epochs")
        if not (0 < self.lr < math.inf and 0 < self.rho < math.inf and 0 <= self.momentum < 1):
            raise InputError(
                f"{self.name}: lr = {self.lr}, rho = {self.rho}, momentum = {self.momentum}; give positive numbers, "
                "and a momentum in [0, 1)"
            )

    @property
    def slug(self) -> str:
        """In names of files.

        Example:
            >>> Pair("CIFAR-10, batch norm", "cifar10", "cnn2-bn", train=1000).slug
            'cifar-10-batch-norm'
        """
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower())


@dataclass(frozen=True)
class Condition:
    """One way to train.

    Attributes:
        method: ``sgd``, ``sam`` or ``eigen-sam``.
        alpha: weight of the eigenvector.
        refresh_every: steps from one ``v`` to the next.
        direction: a key of :data:`DIRECTIONS`.
        normalize: whether Eigen-SAM's perturbation keeps the length ``rho``.
        length: SAM's perturbation in units of the pair's ``rho``.

    Example:
        >>> Condition("eigen-sam", 1.0, 20, "random").name, Condition("sam", length=1.36).name
        ('eigen-sam-a1-k20-random', 'sam-1.36')
    """

    method: str
    alpha: float = 0.0
    refresh_every: int = 0
    direction: str = ""
    normalize: bool = False
    length: float = 1.0

    @property
    def name(self) -> str:
        """In names of files."""
        if self.method == "eigen-sam":
            ending = "-unit" if self.normalize else ""
            return f"eigen-sam-a{self.alpha:g}-k{self.refresh_every}-{self.direction}{ending}"
        return self.method if self.method == "sgd" or self.length == 1 else f"{self.method}-{self.length:g}"

    @property
    def family(self) -> str:
        """Of :data:`FAMILIES`; only Eigen-SAM's conditions have questions.

        The main ones are the paper's setting (``alpha = 0.2``, ``k = 100``), and ``alpha = 1`` with the best that
        either kind of eigenvector can be: accurate every 20 steps, or the minibatch's at every step.

        Example:
            >>> Condition("eigen-sam", 0.2, 100, "minibatch").family, Condition("eigen-sam", 0.2, 1, "random").family
            ('main', 'random')
        """
        main = {(0.2, 100, "minibatch"), (1.0, 1, "minibatch"), (1.0, 20, "whole")}
        if not self.normalize and (self.alpha, self.refresh_every, self.direction) in main:
            return "main"
        return "random" if self.direction == "random" else "further"

    @classmethod
    def of_length(cls, length: float) -> "Condition":
        """SAM whose perturbation is as long as another one was on root mean square, in units of ``rho``.

        Example:
            >>> Condition.of_length(1.3583).length, Condition.of_length(1.0).name
            (1.36, 'sam')
        """
        return cls("sam", length=round(length * _LENGTHS) / _LENGTHS)


def conditions(alphas: Sequence[float], refreshes: Sequence[int], accurate: Sequence[int]) -> Iterator[Condition]:
    """All ways to train but SAM of equal length, whose length the others' runs tell.

    Eigen-SAM as it is and in its normalised form with the minibatch's eigenvector and with an accurate one, and with a
    random vector in its place.

    Args:
        alphas: weights of the eigenvector.
        refreshes: steps from one ``v`` to the next, for the minibatch's and for random ones.
        accurate: the same for the eigenvector of the whole loss.

    Example:
        >>> [each.name for each in conditions([1.0], [20], [])]
        ['sgd', 'sam', 'eigen-sam-a1-k20-minibatch', 'eigen-sam-a1-k20-minibatch-unit', 'eigen-sam-a1-k20-random']
    """
    yield Condition("sgd")
    yield Condition("sam")
    for alpha in alphas:
        for direction, every in (("minibatch", refreshes), ("whole", accurate), ("random", refreshes)):
            for k in every:
                yield Condition("eigen-sam", alpha, k, direction)
                if direction != "random":  # to normalise what is not turned is SAM
                    yield Condition("eigen-sam", alpha, k, direction, normalize=True)


def used_data(pair: Pair, data: DataSet) -> DataSet:
    """The part of a data set that a pair is trained and tested on, its images pooled.

    Classes take turns, each in the order of the data set: what is taken does not depend on how classes are mixed there.

    Raises:
        InputError: there are not as many examples, or minibatches that do not divide them.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> used = used_data(Pair("tiny", "digits", "mlp32", train=100, test=20, batch_size=20), load_data("digits"))
        >>> used.train_targets[:12].tolist(), len(used.test_targets)
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1], 20)
    """
    for wanted, targets in ((pair.train, data.train_targets), (pair.test, data.test_targets)):
        if wanted > len(targets):
            raise InputError(f"{wanted} examples are asked for; a part of {data.name} has {len(targets)}; ask for less")
    if pair.pool > min(data.shape[1:]):
        raise InputError(f"images of shape {data.shape} have no squares of side pool = {pair.pool}; lower it")
    pool = nn.AvgPool2d(pair.pool) if pair.pool > 1 else nn.Identity()

    def taken(inputs: torch.Tensor, targets: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        order = _in_turn(targets, data.classes)[: count or len(targets)]
        return pool(inputs[order]).contiguous(), targets[order].contiguous()

    train = taken(data.train_inputs, data.train_targets, pair.train)
    test = taken(data.test_inputs, data.test_targets, pair.test)
    if len(train[1]) % pair.batch_size:
        raise InputError(
            f"{len(train[1])} training examples of {pair.name} are no whole number of minibatches of "
            f"{pair.batch_size}; choose a divisor, so that the trained loss is the measured one"
        )
    return replace(
        data,
        train_inputs=train[0],
        train_targets=train[1],
        test_inputs=test[0],
        test_targets=test[1],
    )


def _in_turn(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Positions, the first example of each class before the second ones."""
    ranks = torch.zeros_like(targets)
    for each in range(classes):
        mine = targets == each
        ranks[mine] = torch.arange(int(mine.sum()))
    return torch.argsort(ranks * classes + targets, stable=True)


_CIFAR = Pair("CIFAR-10", "cifar10", "cnn2", 2000, 2000, pool=4, batch_size=100, epochs=20, seeds=6, looks=1)

LAPTOP = (
    Pair("digits", "digits", "mlp32", train=1408),
    Pair("digits, momentum", "digits", "mlp32", train=1408, lr=0.05, momentum=0.9),
    Pair("digits, batch norm", "digits", "mlp32-bn", train=1408, looks=1, partitions=2),
    Pair("MNIST", "mnist", "mlp32", train=5000, test=2000, pool=2, batch_size=100, epochs=20, seeds=6),
    _CIFAR,
    replace(_CIFAR, name="CIFAR-10, batch norm", model="cnn2-bn", train=1000, batch_size=50, partitions=2),
)
"""The plan for a laptop: what two cores measure in three hours."""

QUICK = (Pair("digits", "digits", "mlp32", train=704, epochs=20, seeds=3, looks=1),)
"""About a minute on two cores."""
