"""The examples that an operator sums over: any iterable of batches that gives the same ones in every pass."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler

from ..errors import InputError
from ..network_function import Batch

__all__ = ["ExampleBatches"]


class ExampleBatches:
    """Batches of examples, and their number; refuses a source that changes between passes.

    A Hessian is a fixed matrix only if every product sees the same function. A loader that shuffles while the batches
    matter (batch norm in train mode, ``drop_last``), that augments at random, or an iterator that ends after one pass
    gives another one each time.

    Args:
        batches: (inputs, targets), of any sizes; each is one pass through the network.
        grouped: whether the loss depends on which examples share a batch.
    """

    def __init__(self, batches: Iterable[Batch], *, grouped: bool) -> None:
        if iter(batches) is iter(batches):
            raise InputError("the batches are an iterator, which ends after one pass; give a list or a data loader")
        if (
            isinstance(batches, DataLoader)
            and isinstance(batches.sampler, RandomSampler)
            and (grouped or batches.drop_last)
        ):
            raise InputError(
                "the data loader shuffles, and with drop_last or batch norm in train mode every pass is another "
                "function; give it shuffle=False, or a list of its batches"
            )
        self._batches = batches
        self._seen: tuple[int, float, float] | None = None

    @property
    def count(self) -> int:
        """Number of examples; known after one pass."""
        if self._seen is None:
            for _ in self:
                pass
        assert self._seen is not None
        return self._seen[0]

    def __iter__(self) -> Iterator[Batch]:
        """One pass."""
        count, total, scale = 0, 0.0, 0.0
        for inputs, targets in self._batches:
            if not len(inputs) or len(inputs) != len(targets):
                raise InputError(
                    f"a batch has {len(inputs)} inputs and {len(targets)} targets; expected as many, at least one"
                )
            count += len(inputs)
            checksum, size = _checksum(inputs)
            total, scale = total + checksum, scale + size
            yield inputs, targets
        if not count:
            raise InputError("there is no batch; the data set or loader is empty")
        if self._seen is None:
            self._seen = count, total, scale
        elif count != self._seen[0] or abs(total - self._seen[1]) > 1e-9 * self._seen[2]:
            raise InputError(
                "the data changed between two passes (random augmentation, sampling or drop_last), so that products "
                "belong to different functions; give fixed batches, e.g. list(loader)"
            )


def _checksum(inputs: Tensor) -> tuple[float, float]:
    """The sum of the inputs, and of their magnitudes: what does not depend on their order."""
    numbers = inputs.detach().to(torch.float64 if inputs.device.type != "mps" else torch.float32)
    return float(numbers.sum()), float(numbers.abs().sum())
