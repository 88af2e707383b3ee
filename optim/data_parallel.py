"""Workers that train one model on parts of a minibatch: what the gradient's average does not reach."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..ground.errors import InputError
from ..landscapes.derivatives.live_buffers import live_modules
from ..landscapes.spectra.operators import SymmetricOperator

__all__ = ["WorkersMean", "find_replicas", "workers_agree"]


def find_replicas(parameters: Sequence[Tensor]) -> list[Any]:
    """The ``DistributedDataParallel`` modules that wrap these parameters; none outside of a process group."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return []
    parallel = sys.modules.get("torch.nn.parallel.distributed")
    if parallel is None:
        return []
    ours = {id(p) for p in parameters}
    wrapped = (m for m in live_modules() if isinstance(m, parallel.DistributedDataParallel))
    return [m for m in wrapped if any(id(p) in ours for p in m.parameters())]


@contextmanager
def without_averaging(replicas: Sequence[Any]) -> Iterator[None]:
    """Passes inside are no training steps: nothing waits for the gradients of the other workers."""
    before = [replica.require_backward_grad_sync for replica in replicas]
    for replica in replicas:
        replica.require_backward_grad_sync = False
    try:
        yield
    finally:
        for replica, old in zip(replicas, before, strict=True):
            replica.require_backward_grad_sync = old


def workers_agree(group: Any, error: BaseException | None, device: torch.device) -> None:
    """Raise everywhere what went wrong anywhere, so that nobody waits for one who has left."""
    failed = torch.tensor(float(error is not None), device=device)
    torch.distributed.all_reduce(failed, group=group)
    if error is not None:
        raise error
    if failed > 0:
        raise InputError(f"{int(failed)} other workers could not estimate the eigenvector; see their messages")


class WorkersMean(SymmetricOperator):
    """The mean of all workers' operators, which is the Hessian of their joint minibatch.

    Args:
        own: of this worker.
        group: of processes.
    """

    def __init__(self, own: SymmetricOperator, group: Any) -> None:
        super().__init__(own.dim, own.dtype, own.device, accuracy=own.accuracy)
        self._own, self._group = own, group

    @property
    def checked(self) -> str:
        """As the own one."""
        return self._own.checked

    def _product(self, v: Tensor) -> Tensor:
        error, product = None, torch.zeros_like(v)
        try:
            product = (self._own @ v) / torch.distributed.get_world_size(self._group)
        except Exception as found:
            error = found
        workers_agree(self._group, error, v.device)
        torch.distributed.all_reduce(product, group=self._group)
        return product
