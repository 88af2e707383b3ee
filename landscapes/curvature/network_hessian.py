"""The Hessian of a network's loss, by the cheapest way that the network and the memory allow."""

from collections.abc import Callable, Iterable
from typing import Literal, get_args

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import InputError
from ..flat import flatten, unflatten
from ..network_derivatives import NetworkDerivatives, NotDifferentiableError, check_dependence, is_refusal
from ..network_function import Batch, NetworkFunction
from ..smooth_norms import SmoothNorms
from .gradient_differences import difference_accuracy, differenced_product, natural_step
from .network_operator import GRAPH_BYTES, NetworkOperator

__all__ = ["Hessian", "HessianMethod"]

HessianMethod = Literal["auto", "graph", "taylor", "reverse", "difference"]


class Hessian(NetworkOperator):
    """``(1/n) sum_i grad^2 l_i(x)``.

    Args:
        network: the network and its mean loss.
        batches: see :class:`NetworkOperator`.
        x: where; default the module's current parameters.
        method: ``graph`` differentiates a gradient whose graph is kept (the cheapest, 2 gradients' time; memory of all
            graphs); ``taylor`` is one forward pass with tangents and one backward pass, ``reverse`` two reverse passes,
            both with the memory of one batch; ``difference`` takes differences of gradients, six or more for a product
            of each batch, for kernels that cannot be differentiated twice. ``auto`` takes the first that fits,
            differences last.
        graph_bytes: see :class:`NetworkOperator`.
        group: see :class:`NetworkOperator`.

    Attributes:
        used: what the products so far were computed by.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkFunction
        >>> network = NetworkFunction(torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss)
        >>> data = torch.eye(2), torch.zeros(2, 1)
        >>> (Hessian(network, [data]) @ torch.tensor([1.0, 2.0])).tolist()  # 2 x^T x / n
        [1.0, 2.0]
    """

    def __init__(
        self,
        network: NetworkFunction,
        batches: Iterable[Batch],
        x: Tensor | None = None,
        *,
        method: HessianMethod = "auto",
        graph_bytes: int = GRAPH_BYTES,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        if method not in get_args(HessianMethod):
            raise InputError(f"unknown method '{method}'; choose one of: {', '.join(get_args(HessianMethod))}")
        super().__init__(network, batches, x, graph_bytes=graph_bytes, group=group)
        self.method, self.used = method, "nothing yet"
        self._derivatives = NetworkDerivatives(
            network, "reverse" if method == "reverse" else "taylor" if method == "taylor" else "auto"
        )
        if method == "graph":
            self._graph_bytes = 2**62
        self._difference: str | None = None  # why, if products are differences
        self._graph_refused = False
        if method == "difference":
            self._take_differences("asked for")

    def _take_differences(self, reason: str) -> None:
        self._difference, self.used = reason, f"difference ({reason})"
        self.accuracy = max(self.accuracy, difference_accuracy(self.dtype))

    def _keeps(self) -> bool:
        wanted = self.method in ("auto", "graph") and not self._graph_refused and self._difference is None
        return wanted and super()._keeps()

    def _mean(self, v: Tensor) -> Tensor:
        try:
            product = super()._mean(v)
        except RuntimeError as error:
            if not is_refusal(error):
                raise
            if self.method != "auto":
                reason = str(error).splitlines()[0]
                raise NotDifferentiableError(
                    f"method '{self.method}' differentiates a gradient, which torch refuses: {reason}; use method "
                    "'auto' or 'difference'"
                ) from error
            # Whether a gradient can be differentiated is known only when it is tried; other routes may go through.
            self._graph_refused, self._kept = True, None
            return super()._mean(v)
        if self._kept:
            self.used = "graph"
        return product

    def _batch_rows(self, batch: Batch, v: Tensor) -> Tensor:
        if len(v) > 1 and self.method != "taylor" and not self._graph_refused and self._difference is None:
            rows = super()._batch_rows(batch, v)
            self.used = "reverse"
            return rows
        return torch.stack([self._single(batch, row) for row in v])

    def _single(self, batch: Batch, v: Tensor) -> Tensor:
        """One product without a graph that is kept."""
        if self._difference is None:
            try:
                product = self._derivatives.contracted_gradient(self.x, [(1.0, (v,))], batch)
            except NotDifferentiableError as error:
                if self.method != "auto":
                    raise
                self._take_differences(str(error))
            else:
                self.used = self._derivatives.used[1]
                return product
        return self._differenced(batch, v)

    def _linearised(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        self._derivatives.check_twice(self.x, batch)
        network, leaves = self.network, self._leaves()
        with SmoothNorms(2):
            loss = network.loss(leaves, batch)
            check_dependence(loss, network)
            gradient = torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
        sloped = [(g, i) for i, g in enumerate(gradient) if g.requires_grad]
        if not sloped:  # linear in the parameters
            return torch.zeros_like
        gradients, places = [g for g, _ in sloped], [i for _, i in sloped]

        def product(v: Tensor) -> Tensor:
            parts = unflatten(v, network.shapes)
            rows = torch.autograd.grad(
                gradients, leaves, [parts[i] for i in places], retain_graph=True, materialize_grads=True
            )
            return flatten(rows)

        return product

    def _differenced(self, batch: Batch, v: Tensor) -> Tensor:
        if not v.any():
            return torch.zeros_like(v)

        def gradient(x: Tensor) -> Tensor:
            return self._derivatives.contracted_gradient(x, [(1.0, ())], batch)

        shapes = self.network.shapes
        return differenced_product(gradient, self.x, v, natural_step(unflatten(self.x, shapes), unflatten(v, shapes)))
