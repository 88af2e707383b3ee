"""A matrix of one network as a mean over any number of examples, batches and processes.

``A = sum_b w_b A_b / sum_b w_b``: a batch with the mean ``A_b`` counts as what that was divided by, its number of
examples. With several batches or processes the sum is taken in float64.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...ground.errors import InputError
from ..derivatives.flat import unflatten
from ..derivatives.plain_evaluation import differentiable
from ..networks.activation_bytes import activation_bytes
from ..networks.loss_counts import is_known_mean
from ..networks.mean_check import check_mean
from ..networks.network_function import Batch, NetworkFunction
from ..spectra.operators import SymmetricOperator
from .batches import ExampleBatches

__all__ = ["GRAPH_BYTES", "NetworkOperator"]

GRAPH_BYTES = 2**30  # what all kept graphs together may hold

_NOTHING = "no example counts: the loss ignores all targets; look at its ignore_index, or at count"


class NetworkOperator(SymmetricOperator):
    """A mean over examples of matrices of one network; subclasses give one batch's products.

    An operator is a snapshot: of the point, of the parameters that are no coordinates, and of the buffers. Training
    that goes on does not change it.

    Args:
        network: the network and its mean loss.
        batches: (inputs, targets), or what the network's ``forward`` takes: a list or a data loader that gives the same
            examples in every pass.
        x: where, shape ``(d,)``; default the module's current parameters.
        weights: how much each batch counts (default: ``network.count``; then the loss has to be a mean, and several
            batches are checked for that, see :func:`check_mean`).
        graph_bytes: graphs of all batches are kept between products if they need less memory than this (0: never); it
            saves a third of the time.
        group: a process group of ``torch.distributed``, each process with its own examples: products are those of all
            examples together. Default: this process alone; ``dist.group.WORLD`` is everyone.
        check: whether what can be checked is checked.
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
        semidefinite: bool = False,
    ) -> None:
        super().__init__(network.dim, network.dtype, network.device, semidefinite=semidefinite)
        x = network.point() if x is None else x.detach()
        if x.shape != (network.dim,):
            raise InputError(f"the point has shape {tuple(x.shape)}; expected ({network.dim},)")
        if not torch.isfinite(x).all():
            raise InputError("the point holds NaN or infinity; training has diverged, take an earlier checkpoint")
        if weights is not None and not all(0 < weight < float("inf") for weight in weights):
            raise InputError(f"weights = {list(weights)[:5]}; expected a positive number for each batch")
        self.network, self.group = network.snapshot(), group
        with torch.inference_mode(False):
            self.x = x.to(network.device, network.dtype, copy=True)
        grouped = network.mode == "train" and any(
            isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.model.modules()
        )
        self.batches = ExampleBatches(batches, grouped=grouped, pairs=network.forward_function is None)
        self._weights, self._graph_bytes, self._checks = weights, graph_bytes, check
        known = network.count_function is None and is_known_mean(network.loss_function)
        self._mean_checked = weights is not None or known or not check
        self._kept: list[tuple[float, Callable[[Tensor], Tensor]]] | None = None

    @abstractmethod
    def _linearised(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        """One batch's product as a function that may be called several times and owns its graph."""

    def _keeps(self) -> bool:
        """Whether graphs are worth keeping at all."""
        return self._graph_bytes > 0

    def _product(self, v: Tensor) -> Tensor:
        return self._product_rows(v[None])[0]

    def _product_rows(self, v: Tensor) -> Tensor:
        with differentiable(self.device):
            return self._mean(v.clone() if v.is_inference() else v)

    def _mean(self, v: Tensor) -> Tensor:
        """The mean over the examples of all batches, and of all processes."""
        if self.group is None:
            return self._own_mean(v)[0].to(v)
        problem: Exception | None = None
        mean, weight = torch.zeros_like(v), 0.0
        try:
            mean, weight = self._own_mean(v)
        except Exception as error:  # the others wait for this process
            problem = error
        seen = torch.tensor([weight, problem is not None], dtype=torch.float64, device=v.device)
        dist.all_reduce(seen, group=self.group)
        if problem is not None:
            raise problem
        if seen[1]:
            raise InputError("another process of the group has failed; its own message says why")
        if not seen[0]:
            raise InputError(_NOTHING)
        total = mean.double() * weight
        dist.all_reduce(total, group=self.group)
        return (total / seen[0]).to(v)

    def _own_mean(self, v: Tensor) -> tuple[Tensor, float]:
        """The mean over this process's batches, and how much they count."""
        if self._kept is None and self._keeps():
            self._kept = self._graphs()
        if self._kept:
            self.batches.check_unchanged()
            parts = ((weight, torch.stack([product(row) for row in v])) for weight, product in self._kept)
        else:
            parts = ((weight, self._batch_rows(batch, v)) for weight, batch in self._weighted())
        total, count, single = torch.zeros(0), 0.0, True
        for weight, part in parts:
            if not count:
                total = part
            else:
                if single:
                    total, single = total.double() * count, False
                total.add_(part, alpha=weight)
            count += weight
        if not count:
            if self.group is None:
                raise InputError(_NOTHING)
            return torch.zeros_like(v), 0.0  # the others' examples may count
        return total if single else total / count, count

    def _weighted(self) -> Iterator[tuple[float, Batch]]:
        """Each batch that counts, with its weight; the first time, its loss is checked to be a mean."""
        first: Batch | None = None
        uncounted: InputError | None = None
        index = -1
        for index, batch in enumerate(self.batches):
            if self._weights is not None and index >= len(self._weights):
                break
            if not self._mean_checked:
                if index == 0 and self.group is None:
                    first = batch  # one batch alone may have any loss
                else:
                    for given in (first, batch) if first is not None else (batch,):
                        check_mean(self.network, unflatten(self.x, self.network.shapes), given)
                    first = None
            if uncounted is not None:
                raise uncounted
            try:
                weight = self.network.count(batch) if self._weights is None else self._weights[index]
            except InputError as error:
                if index or self.group is not None:
                    raise
                weight, uncounted = 1.0, error  # one batch alone need not be counted
            if weight:
                yield weight, batch
        if self._weights is not None and index + 1 != len(self._weights):
            raise InputError(f"found {len(self._weights)} weights; expected one for each batch")
        self._mean_checked = True

    def _batch_rows(self, batch: Batch, v: Tensor) -> Tensor:
        """One batch's products, whose graph is not needed again."""
        product = self._linearised(batch)
        return torch.stack([product(row) for row in v])

    def _graphs(self) -> list[tuple[float, Callable[[Tensor], Tensor]]]:
        """All batches' products with their graphs, or none where they would need too much memory."""
        kept: list[tuple[float, Callable[[Tensor], Tensor]]] = []
        held = 0.0
        for weight, batch in self._weighted():
            held += 3 * activation_bytes(
                self.network, self.x, batch
            )  # activations, their gradients, and what the second pass saves
            if held > self._graph_bytes:
                return []
            kept.append((weight, self._linearised(batch)))
        return kept

    def _leaves(self) -> list[Tensor]:
        return [part.detach().requires_grad_() for part in unflatten(self.x, self.network.shapes)]
