"""A matrix of one network as a mean over any number of examples, batches and processes.

``A = (1/n) sum_i A_i``: a batch of ``b`` examples with the mean ``A_b`` counts ``b / n``. With several batches or
processes the sum is taken in float64.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import InputError
from ..flat import unflatten
from ..network_derivatives import loss_of_few
from ..network_function import Batch, NetworkFunction, differentiable
from .batches import ExampleBatches
from .operators import SymmetricOperator

__all__ = ["GRAPH_BYTES", "NetworkOperator"]

GRAPH_BYTES = 2**30  # what all kept graphs together may hold


class NetworkOperator(SymmetricOperator):
    """A mean over examples of matrices of one network; subclasses give one batch's products.

    Args:
        network: the network and its mean loss.
        batches: (inputs, targets): a list or a data loader that gives the same examples in every pass.
        x: where, shape ``(d,)``; default the module's current parameters.
        graph_bytes: graphs of all batches are kept between products if they need less memory than this (0: never); it
            saves a third of the time.
        group: a process group of ``torch.distributed``, each process with its own examples: products are those of all
            examples together. Default: this process alone; ``dist.group.WORLD`` is everyone.
    """

    def __init__(
        self,
        network: NetworkFunction,
        batches: Iterable[Batch],
        x: Tensor | None = None,
        *,
        graph_bytes: int = GRAPH_BYTES,
        group: dist.ProcessGroup | None = None,
        semidefinite: bool = False,
        accuracy: float | None = None,
    ) -> None:
        super().__init__(network.dim, network.dtype, network.device, semidefinite=semidefinite, accuracy=accuracy)
        x = network.point() if x is None else x.detach()
        if x.shape != (network.dim,):
            raise InputError(f"the point has shape {tuple(x.shape)}; expected ({network.dim},)")
        if not torch.isfinite(x).all():
            raise InputError("the point holds NaN or infinity; training has diverged, take an earlier checkpoint")
        self.network, self.group = network, group
        with torch.inference_mode(False):
            self.x = x.to(network.device, network.dtype)
            self.x = self.x.clone() if self.x.is_inference() else self.x
        grouped = network.mode == "train" and any(
            isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.model.modules()
        )
        self.batches = ExampleBatches(batches, grouped=grouped)
        self._graph_bytes = graph_bytes
        self._kept: list[tuple[int, Callable[[Tensor], Tensor]]] | None = None

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
        if self._kept is None and self._keeps():
            self._kept = self._graphs()
        if self._kept:
            parts = ((count, torch.stack([product(row) for row in v])) for count, product in self._kept)
        else:
            parts = ((len(batch[0]), self._batch_rows(batch, v)) for batch in self.batches)
        total, count, single = torch.zeros(0), 0, True
        for size, part in parts:
            if not count:
                total = part
            else:
                if single:
                    total, single = total.double() * count, False
                total.add_(part, alpha=size)
            count += size
        if self.group is not None:
            total = total.double() * (count if single else 1)
            seen = torch.tensor([count], dtype=torch.float64, device=total.device)
            dist.all_reduce(total, group=self.group)
            dist.all_reduce(seen, group=self.group)
            return (total / seen).to(v)
        return total if single else (total / count).to(v)

    def _batch_rows(self, batch: Batch, v: Tensor) -> Tensor:
        """One batch's products, whose graph is not needed again."""
        product = self._linearised(batch)
        return torch.stack([product(row) for row in v])

    def _graphs(self) -> list[tuple[int, Callable[[Tensor], Tensor]]]:
        """All batches' products with their graphs, or none where they would need too much memory."""
        kept: list[tuple[int, Callable[[Tensor], Tensor]]] = []
        held = 0
        for batch in self.batches:
            held += 3 * self._activation_bytes(batch)  # activations, their gradients, and what the second pass saves
            if held > self._graph_bytes:
                return []
            kept.append((len(batch[0]), self._linearised(batch)))
        return kept

    def _activation_bytes(self, batch: Batch) -> int:
        """What a gradient of this batch has to save, parameters aside."""
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        leaves, model = self._leaves(), self.network.model
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            _, examples = loss_of_few(self.network, leaves, batch)
        own = {t.untyped_storage().data_ptr() for t in (self.x, *batch, *model.parameters(), *model.buffers())}
        return sum(size for pointer, size in sizes.items() if pointer not in own) * len(batch[0]) // examples

    def _leaves(self) -> list[Tensor]:
        return [part.detach().requires_grad_() for part in unflatten(self.x, self.network.shapes)]
