"""In which order a training sees its examples."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ...landscapes.runs.data_set import DataSet
from .ranks import Ranks

__all__ = ["Minibatches"]


class Minibatches:
    """Minibatches of one epoch after the other: a permutation each, of which the rest is left out.

    Everything that an epoch draws, dropout masks of the network included, follows from seed and epoch, as torch's
    generator is seeded at its beginning: so any epoch can be made again. Of several processes each sees its part of
    every minibatch of the same permutation; what the others than the first draw follows from seed, epoch and rank.

    Args:
        data: the training set.
        batch_size: examples of each minibatch, of all processes together.
        seed: of all epochs.
        augment: crop (padding 4) and flip images at random.
        ranks: the processes, and which of them this is.
        closures: parts of a minibatch in a step; each is shared by all processes.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> batches = Minibatches(load_data("digits"), batch_size=400, seed=0)
        >>> batches.steps, [len(targets) for inputs, targets in batches.epoch(0)]
        (3, [400, 400, 400])
    """

    def __init__(
        self,
        data: DataSet,
        batch_size: int,
        seed: int,
        *,
        augment: bool = False,
        ranks: Ranks | None = None,
        closures: int = 1,
    ) -> None:
        self.data, self.batch_size, self.seed, self.augment = data, batch_size, seed, augment
        self.ranks, self.closures = ranks or Ranks(), closures

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return len(self.data.train_targets) // self.batch_size

    def epoch(self, epoch: int, first: int = 0, go_on: Callable[[], None] = lambda: None) -> Iterator[list[Tensor]]:
        """Inputs and targets, drawn as they are asked for.

        Args:
            epoch: number, from 0.
            first: step to begin with.
            go_on: called before it, to set the random state that was found there.
        """
        torch.manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.data.train_targets))
        if not self.ranks.first:
            torch.manual_seed(self._own_seed(epoch))
        go_on()
        change = _crops_and_flips(self.data) if self.augment else None
        for whole in order[: self.steps * self.batch_size].split(self.batch_size)[first:]:
            indices = self.ranks.part(whole, self.closures)
            inputs = self.data.train_inputs[indices]
            if change is not None:
                inputs = torch.stack([change(image) for image in inputs])
            yield [inputs, self.data.train_targets[indices]]

    def _own_seed(self, epoch: int) -> int:
        # Hashed: torch's generator takes the low 32 bits of a seed and ignores the others.
        return int(np.random.SeedSequence([self.seed, epoch, self.ranks.rank]).generate_state(1)[0])


def _crops_and_flips(data: DataSet) -> Callable[[Tensor], Tensor]:
    from torchvision.transforms import v2  # seconds to import

    found: Callable[[Tensor], Tensor] = v2.Compose(
        [v2.RandomCrop(data.shape[1:], padding=4), v2.RandomHorizontalFlip()]
    )
    return found
