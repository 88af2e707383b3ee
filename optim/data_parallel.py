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

__all__ = [
    "OTHER_FAILED",
    "Workers",
    "WorkersMean",
    "find_replicas",
    "from_first",
    "some_have_left",
    "without_averaging",
    "workers_agree",
]

OTHER_FAILED = "another worker could not estimate the eigenvector; see its message"


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
    """Passes inside are no training steps: nothing waits for the gradients of the other workers.

    Forward passes still take the first worker's buffers. What follows a forward pass is left out: it would switch that
    off for the next pass, and with ``static_graph`` take the first backward pass for that of a training step.
    """
    before = [replica.require_backward_grad_sync for replica in replicas]
    for replica in replicas:
        replica.require_backward_grad_sync = False
        replica.__dict__["_post_forward"] = lambda output: output
    try:
        yield
    finally:
        for replica, old in zip(replicas, before, strict=True):
            replica.require_backward_grad_sync = old
            del replica.__dict__["_post_forward"]


def some_have_left(replica: Any) -> bool:
    """Whether workers may have run out of minibatches (``model.join()``); those answer the model's own calls only."""
    return bool(getattr(getattr(replica, "_join_config", None), "enable", False))


def workers_agree(groups: Sequence[Any], error: BaseException | None, device: torch.device, elsewhere: str) -> None:
    """Raise everywhere what went wrong anywhere, so that nobody waits for one who has left.

    Args:
        groups: of processes; several where workers form a mesh.
        error: of this worker.
        device: where the processes can reach one another's tensors.
        elsewhere: what to say where it happened on another worker.

    Raises:
        InputError: it did.
    """
    failed = torch.tensor(float(error is not None), device=device)
    for group in groups:
        torch.distributed.all_reduce(failed, torch.distributed.ReduceOp.MAX, group=group)
    if error is not None:
        raise error
    if failed > 0:
        raise InputError(elsewhere)


def from_first(tensor: Tensor, group: Any) -> Tensor:
    """What the first worker has, bit for bit."""
    torch.distributed.broadcast(tensor, group=group, group_src=0)
    return tensor


class Workers:
    """The processes that take each step of these parameters together: of DDP, or of the meshes that shard them.

    Args:
        parameters: of the optimizer.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        replicas = find_replicas(parameters)
        meshes: list[Any] = [p.device_mesh for p in parameters if hasattr(p, "device_mesh")]
        self._replica = replicas[0] if replicas else None
        self._groups = list(dict.fromkeys(mesh.get_group(axis) for mesh in meshes for axis in range(mesh.ndim)))
        if self._replica is not None:
            self._groups = [self._replica.process_group]
        self._device = parameters[0].device

    @contextmanager
    def agreeing(self, kind: type[InputError]) -> Iterator[None]:
        """An error of this kind inside is raised on all of them, who would else wait in the next pass for one another.

        A loss, or a gradient that has not been averaged, may be not finite on one of them only.
        """
        if not self._groups or some_have_left(self._replica):
            yield
            return
        error = None
        try:
            yield
        except kind as found:
            error = found
        try:
            workers_agree(self._groups, error, self._device, "a loss or gradient of another worker is not finite")
        except InputError as found:
            raise found if isinstance(found, kind) else kind(str(found)) from None

    def mean(self, value: float) -> float:
        """Of a number that each of them has; of losses it is that of the loss whose gradient they average.

        Raises:
            InputError: some have run out of minibatches (``model.join()``), and would not answer.
        """
        if not self._groups:
            return value
        if some_have_left(self._replica):
            raise InputError(
                "inside of model.join() workers that have run out of minibatches tell no loss, which this method needs "
                "of all; give all as many minibatches"
            )
        total = torch.tensor(value, dtype=torch.float64, device=self._device)
        for group in self._groups:
            torch.distributed.all_reduce(total, group=group)
            total /= torch.distributed.get_world_size(group)
        return float(total)


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
        workers_agree([self._group], error, v.device, OTHER_FAILED)
        torch.distributed.all_reduce(product, group=self._group)
        return product
