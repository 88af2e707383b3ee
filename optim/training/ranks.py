"""The processes that train one network together, each on its part of every minibatch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...ground.fingerprints import fingerprint
from ...ground.identities import differences

__all__ = ["Ranks"]

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those of ``torch.distributed``; one alone where that was not started.

    What all do together (a mean, something that the first one does) every process must call, in the same order.

    Attributes:
        rank: number of this process, from 0.
        count: of processes.

    Example:
        >>> ranks = Ranks.found()
        >>> ranks.first, ranks.mean(0.5), ranks.on_first(lambda: 3), ranks.gather("a")
        (True, 0.5, 3, ['a'])
        >>> Ranks(rank=1, count=2).part(torch.arange(8), closures=2)
        tensor([2, 3, 6, 7])
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def found(cls) -> Self:
        """Those of the process group that has been initialised."""
        processes = torch.distributed
        if not processes.is_available() or not processes.is_initialized():
            return cls()
        return cls(processes.get_rank(), processes.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, prints and measures."""
        return self.rank == 0

    def part(self, minibatch: Tensor, closures: int) -> Tensor:
        """This process's share of a minibatch: an equal one of each part that a closure of the step has.

        Args:
            minibatch: shape ``(closures * count * n, ...)``.
            closures: of a step; each has consecutive examples, and so it has of every share.

        Returns:
            Shape ``(closures * n, ...)``.
        """
        if self.count == 1:
            return minibatch
        return minibatch.reshape(closures, self.count, -1, *minibatch.shape[1:])[:, self.rank].flatten(0, 1)

    def check_size(self, batch_size: int, closures: int) -> None:
        """Refuse minibatches that do not fall into equal shares, whose mean would not be that of the minibatch.

        Raises:
            InputError: so it is.
        """
        if batch_size % (closures * self.count):
            parts = f"{self.count} processes" + (f" with {closures} parts each" if closures > 1 else "")
            raise InputError(
                f"batch_size = {batch_size}, of all processes together, cannot be split evenly among {parts}; give a "
                f"multiple of {closures * self.count}, or start another number of processes"
            )

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model whose gradients are the means over all processes; its parameters are the first one's."""
        return model if self.count == 1 else nn.parallel.DistributedDataParallel(model)

    def mean(self, value: float, device: torch.device | str = "cpu") -> float:
        """Of one number of each process; NaN where one of them is.

        Args:
            value: of this process.
            device: where processes reach one another's tensors.
        """
        if self.count == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(total)
        return float(total) / self.count

    def gather(self, value: T) -> list[T]:
        """What each process has, on all of them."""
        if self.count == 1:
            return [value]
        every: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(every, value)
        return every

    def on_first(self, function: Callable[[], T]) -> T:
        """What the first process finds, on all of them, who wait for it.

        Raises:
            InputError: the first process's, on all of them.
            RuntimeError: on the others, where the first one fails in another way.
        """
        if self.count == 1:
            return function()
        found: list[Any] = [None, None]
        failed: Exception | None = None
        if self.first:
            try:
                found = [function(), None]
            except Exception as error:
                found, failed = [None, (isinstance(error, InputError), str(error))], error
        torch.distributed.broadcast_object_list(found, src=0)
        if failed is not None:
            raise failed
        if found[1] is not None:  # nobody waits for one who has left
            expected, message = found[1]
            raise InputError(message) if expected else RuntimeError(f"process 0 has failed: {message}")
        result: T = found[0]
        return result

    def require_same(self, found: Mapping[str, Any]) -> None:
        """Refuse processes that were asked for different runs.

        Args:
            found: what must be the same everywhere, by name.

        Raises:
            InputError: what differs, on all of them.
        """
        every = self.gather(dict(found))
        for rank, other in enumerate(every):
            if changes := differences(every[0], other):
                raise InputError(
                    f"process {rank} was asked for another run than process 0, which differs in {changes}; start all "
                    "of them with the same command on machines with the same files and versions"
                )

    def require_one_model(self, model: nn.Module) -> None:
        """Refuse parameters that are no longer the same bits everywhere, of which only the first's would be kept.

        Raises:
            InputError: so it is, on all of them.
        """
        if self.count == 1:
            return
        digests = self.gather(fingerprint({name: p.detach() for name, p in model.named_parameters()}))
        if len(set(digests)) > 1:
            raise InputError(
                "the processes have come to train different networks: the optimizer steps along something that is not "
                "the mean over all of them, or draws numbers of each process; train with one process"
            )
