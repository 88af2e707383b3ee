"""The examples that an operator sums over: any iterable of batches that gives the same ones in every pass."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SubsetRandomSampler

from ...ground.errors import InputError
from ..networks.batch_rows import count_rows, tensors_of, versions_of
from ..networks.network_function import Batch

__all__ = ["ExampleBatches"]


class ExampleBatches:
    """Batches of examples, and their number; refuses a source that changes between passes.

    A Hessian is a fixed matrix only if every product sees the same function. A loader that shuffles while the batches
    matter (batch norm in train mode, ``drop_last``), that augments at random, or an iterator that ends after one pass
    gives another one each time.

    Args:
        batches: (inputs, targets), of any sizes; each is one pass through the network.
        grouped: whether the loss depends on which examples share a batch.
        pairs: whether each has to be a pair (inputs, targets); else it may be any structure of tensors.
    """

    def __init__(self, batches: Iterable[Batch], *, grouped: bool, pairs: bool = True) -> None:
        if isinstance(batches, Iterator):
            raise InputError("the batches are an iterator, which ends after one pass; give a list or a data loader")
        if isinstance(batches, tuple) and all(isinstance(part, Tensor) for part in batches):
            raise InputError("found the tensors of one batch; expected batches: give a list, [(inputs, targets)]")
        if not isinstance(batches, Iterable):
            raise InputError(f"the batches are a {type(batches).__name__}; give a list or a data loader")
        if isinstance(batches, DataLoader) and _shuffles(batches) and (grouped or batches.drop_last):
            raise InputError(
                "the data loader shuffles, and with drop_last or batch norm in train mode every pass is another "
                "function; give it shuffle=False, or a list of its batches"
            )
        self._batches, self._grouped, self._pairs = batches, grouped, pairs
        self._seen: tuple[int, Tensor] | None = None
        self._versions: list[int] = []

    @property
    def count(self) -> int:
        """Number of examples; known after one pass."""
        if self._seen is None:
            for _ in self:
                pass
        assert self._seen is not None
        return self._seen[0]

    def check_unchanged(self) -> None:
        """Refuse data that has been written to since the first pass, where they are a list of tensors."""
        listed = self._seen is not None and isinstance(self._batches, (list, tuple))
        if listed and versions_of(self._batches) != self._versions:
            raise InputError(
                "the data was written to after the first product, so that products belong to different functions; make "
                "a new operator, or give copies of the tensors"
            )

    def __iter__(self) -> Iterator[Batch]:
        """One pass."""
        listed = isinstance(self._batches, (list, tuple))
        if listed and self._seen is not None:  # these cannot change but by somebody's hand
            self.check_unchanged()
            yield from self._batches
            return
        self._versions = versions_of(self._batches) if listed else []
        count, sums = 0, torch.zeros(2, dtype=torch.float64)
        for index, batch in enumerate(self._batches):
            tensors = _checked(batch, self._pairs)
            count += count_rows(batch) or 1
            place = index + 1 if self._grouped else 1  # where the order of batches matters, it counts
            part = torch.stack([_checksum(tensor) * (1 + k) for k, tensor in enumerate(tensors)]).sum(0)
            sums = sums.to(part.device) + place * part
            yield batch
        if not count:
            raise InputError("there is no batch; the data set or loader is empty")
        sums = sums.cpu()
        if torch.isnan(sums[1]):
            raise InputError("the data holds NaN; leave out or mend such examples")
        if self._seen is None:
            self._seen = count, sums
        elif count != self._seen[0] or ((sums - self._seen[1]).abs() > 1e-9 * sums[1]).any():
            raise InputError(
                "the data changed between two passes (random augmentation, sampling or drop_last), so that products "
                "belong to different functions; give fixed batches, e.g. list(loader)"
            )


def _checked(batch: Batch, pairs: bool) -> list[Tensor]:
    """Its tensors, on one device."""
    if pairs:
        try:
            inputs, targets = batch
        except (TypeError, ValueError):
            raise InputError(
                f"a batch is a {type(batch).__name__}; expected a pair of tensors (inputs, targets), or a network with "
                "forward=lambda model, batch: ..., for instance model(**batch), and a loss of (outputs, batch)"
            ) from None
        if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor) or not inputs.ndim or not targets.ndim:
            raise InputError(
                f"a batch holds a {type(inputs).__name__} and a {type(targets).__name__}; expected tensors (inputs, "
                "targets) with one row for each example, or a network with forward=lambda model, batch: ..."
            )
        if not len(inputs) or len(inputs) != len(targets):
            raise InputError(
                f"a batch has {len(inputs)} inputs and {len(targets)} targets; expected as many, at least one"
            )
    tensors = list(tensors_of(batch))
    if not tensors or any(not tensor.numel() for tensor in tensors):
        raise InputError(f"a batch, a {type(batch).__name__}, holds no tensor or an empty one; expected examples")
    return [tensor.to(tensors[0].device) for tensor in tensors]


def _checksum(data: Tensor) -> Tensor:
    """A sum that knows a number's place in its example, but not the order of the examples; and one of magnitudes."""
    data = data.detach().to(torch.uint8) if data.dtype == torch.bool else data.detach()
    data = data if data.layout == torch.strided else data.to_dense()
    data = torch.view_as_real(data) if data.is_complex() else data
    columns = data.sum(0, dtype=torch.float64)
    weights = torch.arange(columns.numel(), dtype=torch.float64, device=data.device).cos().view(columns.shape)
    return torch.stack([(columns * weights).sum(), data.abs().sum(dtype=torch.float64)])


def _shuffles(loader: DataLoader[Batch]) -> bool:
    samplers = loader.sampler, getattr(loader.batch_sampler, "sampler", None)
    return any(isinstance(sampler, RandomSampler | SubsetRandomSampler) for sampler in samplers)
