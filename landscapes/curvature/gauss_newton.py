"""The Gauss-Newton matrix of a network: its Hessian without the curvature of the outputs."""

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from ...ground.errors import InputError
from ..derivatives.reverse_products import check_dependence, reaches
from ..networks.network_function import Batch, NetworkFunction
from .network_jacobian import NetworkJacobian
from .network_operator import GRAPH_BYTES

__all__ = ["GaussNewton"]


class GaussNewton(NetworkJacobian):
    """``(1/n) sum_i J_i^T (grad^2_z l_i) J_i``, the Hessian without the curvature of the network's outputs ``z``.

    Semidefinite where the loss is convex in the outputs; known for cross-entropy and mean squared error, to be said
    (``convex``) for others. See Schraudolph 2002.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkFunction
        >>> network = NetworkFunction(torch.nn.Linear(2, 1, bias=False), torch.nn.functional.mse_loss)
        >>> data = torch.eye(2), torch.zeros(2, 1)
        >>> (GaussNewton(network, [data]) @ torch.tensor([1.0, 2.0])).tolist()  # the Hessian, as z is linear
        [1.0, 2.0]
    """

    def __init__(
        self,
        network: NetworkFunction,
        batches: Iterable[Batch],
        x: Tensor | None = None,
        *,
        convex: bool | None = None,
        weights: Sequence[float] | None = None,
        graph_bytes: int = GRAPH_BYTES,
        group: dist.ProcessGroup | None = None,
        check: bool = True,
    ) -> None:
        if convex is None:
            loss = network.loss_function
            convex = loss in (cross_entropy, mse_loss) or type(loss) in (nn.CrossEntropyLoss, nn.MSELoss)
        super().__init__(
            network,
            batches,
            x,
            weights=weights,
            graph_bytes=graph_bytes,
            group=group,
            check=check,
            semidefinite=convex,
        )

    def _vector(self, network: NetworkFunction, leaves: Sequence[Tensor], batch: Batch) -> Tensor:
        return self._outputs(network, leaves, batch)

    def _weight(
        self, network: NetworkFunction, leaves: Sequence[Tensor], z: Tensor, batch: Batch
    ) -> Callable[[Tensor], Tensor]:
        z.requires_grad_()
        slope = self._slope(network, leaves, z, batch)
        if not slope.requires_grad:
            return torch.zeros_like

        def product(v: Tensor) -> Tensor:
            return torch.autograd.grad(slope, z, v, retain_graph=True)[0]

        return product

    def _slope(self, network: NetworkFunction, leaves: Sequence[Tensor], z: Tensor, batch: Batch) -> Tensor:
        with torch.enable_grad():
            z = z if z.requires_grad else z.detach().requires_grad_()
            loss = network.loss_of(z, network.targets_of(batch))
            check_dependence(loss, network.names)
            if self._checks and reaches(loss, leaves):
                raise InputError(
                    "the loss depends on parameters not only through the outputs (a penalty, say), which a "
                    "Gauss-Newton matrix leaves out; take Hessian, or give what it reads as outputs by forward=; "
                    "check=False leaves it out"
                )
            return torch.autograd.grad(loss, z, create_graph=True)[0]
