"""Hessian, generalized Gauss-Newton, empirical Fisher of a network's loss over any number of examples.

All are means over examples, ``A = (1/n) sum_i A_i``: a batch of ``b`` examples with the mean ``A_b`` counts ``b / n``.
With several batches or processes the sum is taken in float64.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.functional import cross_entropy, mse_loss

from ..errors import InputError
from ..flat import flatten, unflatten
from ..network_derivatives import (
    NetworkDerivatives,
    NotDifferentiableError,
    check_backward,
    check_dependence,
    is_refusal,
    loss_of_few,
)
from ..network_function import Batch, NetworkFunction, differentiable
from ..smooth_norms import SmoothNorms
from .batches import ExampleBatches
from .gradient_differences import difference_accuracy, differenced_product, natural_step
from .operators import SymmetricOperator

__all__ = ["EmpiricalFisher", "GaussNewton", "Hessian", "HessianMethod", "NetworkOperator"]

HessianMethod = Literal["auto", "graph", "taylor", "reverse", "difference"]

_GRAPH_BYTES = 2**30  # what all kept graphs together may hold


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
        graph_bytes: int = _GRAPH_BYTES,
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
        graph_bytes: int = _GRAPH_BYTES,
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
        graph_bytes: int = _GRAPH_BYTES,
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
        graph_bytes: int = _GRAPH_BYTES,
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
