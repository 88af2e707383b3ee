"""The Hessian of a network's loss, by the cheapest way that the network and the memory allow."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Self, get_args

import torch
import torch.distributed as dist
from torch import Tensor

from ...ground.errors import InputError
from ..networks.network_derivatives import NetworkDerivatives, NotDifferentiableError, Route
from ..networks.network_function import Batch, NetworkFunction
from ..networks.routes import first_line
from .network_operator import GRAPH_BYTES, NetworkOperator

__all__ = ["Hessian", "HessianMethod"]

HessianMethod = Literal["auto", "graph", "taylor", "reverse", "difference"]
_ROUTES: dict[str, Route] = {"taylor": "taylor", "reverse": "reverse", "difference": "difference"}


class Hessian(NetworkOperator):
    """``(1/n) sum_i grad^2 l_i(x)``.

    The first product is preceded by a check of the method that is about to be taken: on a few examples and in float64,
    its products are compared with differences of gradients (:class:`RouteCheck`).

    Args:
        network: the network and its mean loss.
        batches: see :class:`NetworkOperator`.
        x: where; default the module's current parameters.
        method: ``graph`` differentiates a gradient whose graph is kept (the cheapest, 2 gradients' time; memory of all
            graphs); ``taylor`` is one forward pass with tangents and one backward pass, ``reverse`` two reverse passes,
            both with the memory of one batch; ``difference`` takes differences of gradients, seven or more for a
            product of each batch, for kernels whose second derivative is refused or wrong. ``auto`` takes the first
            that fits, differences last.
        weights: see :class:`NetworkOperator`.
        graph_bytes: see :class:`NetworkOperator`.
        group: see :class:`NetworkOperator`.
        check: whether the method, and the loss as a mean over batches, are checked.

    Attributes:
        used: what the products so far were computed by.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkFunction
        >>> network = NetworkFunction(torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss)
        >>> data = torch.eye(2), torch.zeros(2, 1)
        >>> hessian = Hessian(network, [data])
        >>> (hessian @ torch.tensor([1.0, 2.0])).tolist()  # 2 x^T x / n
        [1.0, 2.0]
        >>> hessian.used, hessian.checked.split(" of ")[1]
        ('graph', 'differences (float64, 2 examples)')
    """

    def __init__(
        self,
        network: NetworkFunction,
        batches: Iterable[Batch],
        x: Tensor | None = None,
        *,
        method: HessianMethod = "auto",
        weights: Sequence[float] | None = None,
        graph_bytes: int = GRAPH_BYTES,
        group: dist.ProcessGroup | None = None,
        check: bool = True,
    ) -> None:
        if method not in get_args(HessianMethod):
            raise InputError(f"unknown method '{method}'; choose one of: {', '.join(get_args(HessianMethod))}")
        super().__init__(network, batches, x, weights=weights, graph_bytes=graph_bytes, group=group, check=check)
        self.method, self.used = method, "nothing yet"
        self._derivatives = NetworkDerivatives(self.network, _ROUTES.get(method, "auto"), check=check)
        if method == "graph":
            self._graph_bytes = 2**62
        self._no_graph: str | None = None  # why graphs are not to be had

    def sharing(self, derivatives: NetworkDerivatives) -> Self:
        """The same operator, which takes what was checked by others as checked; to be said before the first product.

        Args:
            derivatives: of the same network, such as a landscape's; what is found out here, they know, too.
        """
        self._derivatives = derivatives.on(self.network, _ROUTES.get(self.method, "auto"), check=self._checks)
        return self

    @property
    def checked(self) -> str:
        """Whether and how the products were checked."""
        return self._derivatives.how_checked(1)

    def _keeps(self) -> bool:
        return self.method in ("auto", "graph") and self._no_graph is None and super()._keeps()

    def _own_mean(self, v: Tensor) -> tuple[Tensor, float]:
        try:
            found = super()._own_mean(v)
        except Exception as error:
            if self._no_graph is not None or not self._derivatives.is_limit(error, self.x, self.batches):
                raise
            if self.method in _ROUTES and isinstance(error, NotDifferentiableError):
                raise
            if self.method != "auto":
                raise NotDifferentiableError(
                    f"method '{self.method}' differentiates a gradient, which torch refuses or gets wrong: "
                    f"{first_line(error)}; use method 'auto' or 'difference'"
                ) from error
            # Whether a gradient can be differentiated is known only when it is tried; other routes may go through.
            self._no_graph, self._kept = first_line(error), None
            return super()._own_mean(v)
        if self._kept:
            self.used = "graph"
        return found

    def _batch_rows(self, batch: Batch, v: Tensor) -> Tensor:
        if len(v) > 1 and self.method not in _ROUTES and self._no_graph is None:
            rows = super()._batch_rows(batch, v)
            self.used = "reverse"
            return rows
        return torch.stack([self._single(batch, row) for row in v])

    def _single(self, batch: Batch, v: Tensor) -> Tensor:
        """One product without a graph that is kept."""
        product = self._derivatives.contracted_gradient(self.x, [(1.0, (v,))], batch)
        self.used = self._derivatives.used[1]
        self.accuracy = max(self.accuracy, self._derivatives.difference_error)
        return product

    def _linearised(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        return self._derivatives.linearised(self.x, batch)
