"""The empirical Fisher matrix of a network: the second moment of the examples' gradients."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.func import vmap

from ...ground.errors import InputError
from ..networks.batch_rows import count_rows, map_tensors, take_rows
from ..networks.network_function import Batch, NetworkFunction
from ..networks.routes import is_out_of_memory
from .network_jacobian import NetworkJacobian
from .network_operator import GRAPH_BYTES

__all__ = ["EmpiricalFisher"]


class EmpiricalFisher(NetworkJacobian):
    """``(1/n) sum_i g_i g_i^T``, the second moment of the examples' gradients ``g_i`` with their own targets.

    The loss must be a mean over examples of the same function (cross-entropy, mean squared error, ...). Not the Fisher
    information, whose targets are drawn from the model (Kunstner et al. 2019).

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkFunction
        >>> network = NetworkFunction(torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss)
        >>> data = torch.eye(2), torch.ones(2, 1)
        >>> fisher = EmpiricalFisher(network, [data], torch.zeros(2))
        >>> (fisher @ torch.tensor([1.0, 2.0])).tolist()  # g_i = -2 e_i
        [2.0, 4.0]
    """

    def __init__(
        self,
        network: NetworkFunction,
        batches: Iterable[Batch],
        x: Tensor | None = None,
        *,
        weights: Sequence[float] | None = None,
        graph_bytes: int = GRAPH_BYTES,
        group: dist.ProcessGroup | None = None,
        check: bool = True,
    ) -> None:
        super().__init__(
            network,
            batches,
            x,
            weights=weights,
            graph_bytes=graph_bytes,
            group=group,
            check=check,
            semidefinite=True,
        )

    def _vector(self, network: NetworkFunction, leaves: Sequence[Tensor], batch: Batch) -> Tensor:
        outputs, targets = self._outputs(network, leaves, batch), network.targets_of(batch)
        if network.count(batch) != count_rows(batch):  # the loss of an example that it ignores is 0 / 0
            counts = [network.count(take_rows(batch, slice(i, i + 1))) for i in range(len(outputs))]
            counted = [i for i, count in enumerate(counts) if count]
            outputs, targets = outputs[counted], map_tensors(targets, lambda t: t[counted] if t.ndim else t)
        if self._checks:
            _check_examples(network, outputs.detach(), targets)
        return _losses_of_examples(network, outputs, targets)

    def _weight(
        self, network: NetworkFunction, leaves: Sequence[Tensor], z: Tensor, batch: Batch
    ) -> Callable[[Tensor], Tensor]:
        return lambda v: v / len(z)


def _check_examples(network: NetworkFunction, outputs: Tensor, targets: Any) -> None:
    """Refuse a batch's loss that is not the mean of its examples', in float64: new networks' losses are all alike."""
    exact = network.in_double()
    with torch.no_grad():
        try:
            losses = _losses_of_examples(exact, outputs.double(), targets)
            mean = exact.loss_of(outputs.double(), targets)
        except Exception as error:
            if isinstance(error, InputError) or is_out_of_memory(error):
                raise
            losses, mean = _losses_of_examples(network, outputs, targets), network.loss_of(outputs, targets)
    rounding = 30 * torch.finfo(losses.dtype).eps * float(losses.abs().max())
    tolerance = rounding + 1e-6 * float(losses.max() - losses.min())
    if not float((losses.mean() - mean).abs()) <= tolerance and bool(mean.isfinite()):
        raise InputError(
            f"the loss of a batch is {float(mean):g}, but the mean of its examples' losses {float(losses.mean()):g}; "
            "the empirical Fisher needs a mean over examples (no sum, no weights of classes)"
        )


def _losses_of_examples(network: NetworkFunction, outputs: Tensor, targets: Any) -> Tensor:
    """One example at a time, each as a batch of one; in a loop where the loss looks at its values."""
    try:
        return vmap(network.loss_of)(outputs.unsqueeze(1), map_tensors(targets, lambda t: t.unsqueeze(1)))
    except Exception as error:
        if isinstance(error, InputError) or is_out_of_memory(error):
            raise
        rows = [slice(i, i + 1) for i in range(len(outputs))]
        return torch.stack([network.loss_of(outputs[row], take_rows(targets, row)) for row in rows])
