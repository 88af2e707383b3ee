"""Generalized Gauss-Newton and empirical Fisher matrices: ``J^T B J`` with the Jacobian of what a batch gives."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.functional import cross_entropy, mse_loss

from ..errors import InputError
from ..flat import flatten, unflatten
from ..network_derivatives import NotDifferentiableError, check_backward, check_dependence, is_refusal
from ..network_function import Batch, NetworkFunction
from ..smooth_norms import SmoothNorms
from .network_operator import GRAPH_BYTES, NetworkOperator

__all__ = ["EmpiricalFisher", "GaussNewton"]


class _Jacobian(NetworkOperator):
    """``J^T B J`` with the Jacobian of a vector ``z(x)`` of one batch; ``J v`` by two reverse passes."""

    _checked = False

    @abstractmethod
    def _vector(self, leaves: Sequence[Tensor], batch: Batch) -> Tensor:
        """``z`` at the given parameters."""

    @abstractmethod
    def _weight(self, z: Tensor, batch: Batch) -> Callable[[Tensor], Tensor]:
        """The symmetric matrix ``B``, of the shape of ``z``."""

    def _mean(self, v: Tensor) -> Tensor:
        try:
            return super()._mean(v)
        except RuntimeError as error:
            if not is_refusal(error):
                raise
            raise NotDifferentiableError(
                f"{type(self).__name__} differentiates a backward pass, which torch refuses: "
                f"{str(error).splitlines()[0]}; use functions that are differentiable twice"
            ) from error

    def _linearised(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        network, leaves = self.network, self._leaves()
        with SmoothNorms(2):
            z = self._vector(leaves, batch)
            check_dependence(z, network)
            weight = self._weight(z.detach(), batch)
            # J^T w is linear in w: its derivative along v is J v.
            w = torch.ones_like(z, requires_grad=True)
            transposed = torch.autograd.grad(z, leaves, w, create_graph=True, materialize_grads=True)
        if not self._checked:
            check_backward(transposed, w)
            self._checked = True
        linear = [(t, i) for i, t in enumerate(transposed) if t.requires_grad]
        if not linear:
            return torch.zeros_like

        def product(v: Tensor) -> Tensor:
            parts = unflatten(v, network.shapes)
            (forward,) = torch.autograd.grad(
                [t for t, _ in linear], w, [parts[i] for _, i in linear], retain_graph=True, materialize_grads=True
            )
            return flatten(torch.autograd.grad(z, leaves, weight(forward), retain_graph=True, materialize_grads=True))

        return product

    def _outputs(self, leaves: Sequence[Tensor], batch: Batch) -> Tensor:
        outputs = self.network.outputs(leaves, batch[0])
        if not isinstance(outputs, Tensor):
            raise InputError(f"the network's outputs are a {type(outputs).__name__}; expected one tensor")
        return outputs


class GaussNewton(_Jacobian):
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
        graph_bytes: int = GRAPH_BYTES,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        if convex is None:
            loss = network.loss_function
            convex = loss in (cross_entropy, mse_loss) or type(loss) in (nn.CrossEntropyLoss, nn.MSELoss)
        super().__init__(network, batches, x, graph_bytes=graph_bytes, group=group, semidefinite=convex)

    def _vector(self, leaves: Sequence[Tensor], batch: Batch) -> Tensor:
        return self._outputs(leaves, batch)

    def _weight(self, z: Tensor, batch: Batch) -> Callable[[Tensor], Tensor]:
        z.requires_grad_()
        loss = self.network.loss_of(z, batch[1])
        check_dependence(loss, self.network)
        (slope,) = torch.autograd.grad(loss, z, create_graph=True)
        if not slope.requires_grad:
            return torch.zeros_like

        def product(v: Tensor) -> Tensor:
            return torch.autograd.grad(slope, z, v, retain_graph=True)[0]

        return product


class EmpiricalFisher(_Jacobian):
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
        graph_bytes: int = GRAPH_BYTES,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__(network, batches, x, graph_bytes=graph_bytes, group=group, semidefinite=True)

    def _vector(self, leaves: Sequence[Tensor], batch: Batch) -> Tensor:
        outputs, targets = self._outputs(leaves, batch), batch[1].to(self.device)
        # One example at a time, each as a batch of one.
        losses = vmap(self.network.loss_of)(outputs.unsqueeze(1), targets.unsqueeze(1))
        with torch.no_grad():
            mean, parts = self.network.loss_of(outputs, targets), losses.mean()
            if (parts - mean).abs() > 1e-3 * mean.abs() + 1e-6:  # NaN is for others to report
                raise InputError(
                    f"the loss of a batch is {float(mean):g}, but the mean of its examples' losses {float(parts):g}; "
                    "the empirical Fisher needs a mean over examples (no sum, no weights of classes)"
                )
        return losses

    def _weight(self, z: Tensor, batch: Batch) -> Callable[[Tensor], Tensor]:
        return lambda v: v / len(batch[0])
