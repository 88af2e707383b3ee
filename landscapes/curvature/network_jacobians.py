"""Generalized Gauss-Newton and empirical Fisher matrices: ``J^T B J`` with the Jacobian of what a batch gives."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.functional import cross_entropy, mse_loss

from ...ground.errors import InputError
from ..derivatives.derivative_check import (
    Comparison,
    UnusableError,
    check_direction,
    compare_near,
    compare_with_differences,
    percent,
    without_constants,
)
from ..derivatives.flat import flatten, unflatten
from ..derivatives.reverse_products import check_backward, check_dependence, reaches
from ..derivatives.smooth_norms import SmoothNorms
from ..networks.batch_rows import count_rows, map_tensors, take_rows
from ..networks.network_derivatives import NotDifferentiableError
from ..networks.network_function import Batch, NetworkFunction
from ..networks.route_check import check_repeats, describe, ways_to_check
from ..networks.routes import first_line, is_out_of_memory, is_refusal
from .network_operator import GRAPH_BYTES, NetworkOperator

__all__ = ["EmpiricalFisher", "GaussNewton"]


class _Passes(NamedTuple):
    """``J v``, ``J^T w`` and ``B w`` at one point, over a graph that is kept."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor], Tensor]
    weight: Callable[[Tensor], Tensor]


class _Jacobian(NetworkOperator):
    """``J^T B J`` with the Jacobian of a vector ``z(x)`` of one batch; ``J v`` by two reverse passes."""

    _whole = False
    _how = "not checked yet"

    @abstractmethod
    def _vector(self, network: NetworkFunction, leaves: Sequence[Tensor], batch: Batch) -> Tensor:
        """``z`` at the given parameters."""

    @abstractmethod
    def _weight(
        self, network: NetworkFunction, leaves: Sequence[Tensor], z: Tensor, batch: Batch
    ) -> Callable[[Tensor], Tensor]:
        """The symmetric matrix ``B``, of the shape of ``z``."""

    def _slope(self, network: NetworkFunction, leaves: Sequence[Tensor], z: Tensor, batch: Batch) -> Tensor | None:
        """What ``B`` is the derivative of, at ``z``; None where it is known."""
        return None

    @property
    def checked(self) -> str:
        """Whether and how the products were checked."""
        return self._how if self._checks else "not checked: switched off"

    def _own_mean(self, v: Tensor) -> tuple[Tensor, float]:
        try:
            return super()._own_mean(v)
        except RuntimeError as error:
            if not is_refusal(error):
                raise
            raise NotDifferentiableError(
                f"{type(self).__name__} differentiates a backward pass, which torch refuses: {first_line(error)}; use "
                "functions that are differentiable twice"
            ) from error

    def _linearised(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        if self._checks and self._how == _Jacobian._how:
            self._how = self._check(batch)
        forward, backward, weight = self._passes(self.network, self._leaves(), batch)
        return lambda v: backward(weight(forward(v)))

    def _check(self, batch: Batch) -> str:
        """``J v`` against differences of ``z``, and ``B w`` against those of the loss's gradient by ``z``."""
        for network, rows, strong in ways_to_check(self.network, batch):
            try:
                compared = self._compared(network, rows)
            except UnusableError:
                continue
            except Exception as error:
                if network is self.network or isinstance(error, InputError):
                    raise
                continue  # twice the memory is too much, or a kernel knows no float64
            if compared.outcome == "differs":
                raise NotDifferentiableError(
                    f"{type(self).__name__} is by {percent(compared.error)} off differences: a part of the network is "
                    "detached, its backward pass is not the derivative of its forward pass, or the second derivative "
                    "of the loss is wrong; use functions that are differentiable twice, or check=False for what torch "
                    "makes of these"
                )
            return describe(compared, network, rows, strong)
        return self._how  # the network itself fails, and will say so

    def _compared(self, network: NetworkFunction, rows: Batch) -> Comparison:
        def leaves(p: Tensor) -> list[Tensor]:
            return [part.detach().requires_grad_() for part in unflatten(p, network.shapes)]

        def passes(p: Tensor) -> _Passes:
            return self._passes(network, leaves(p), rows)

        def vector(p: Tensor) -> Tensor:
            parts = unflatten(p, network.shapes)
            with torch.no_grad(), network.evaluating(parts):
                return self._vector(network, parts, rows)

        def constants(p: Tensor, u: Tensor) -> Tensor | None:
            # Columns of zeros are of parameters that torch takes for constants, such as a padding row, or of no use.
            z = vector(p)
            slope = passes(p).backward(check_direction(z.flatten(), [z.shape]).view(z.shape))
            return without_constants(u, slope, slope)

        compared, point, _ = compare_near(
            lambda p, u: passes(p).forward(u).flatten(),
            lambda p, u: vector(p).flatten(),
            constants,
            self.x.to(network.dtype),
            network.shapes,
        )
        z = vector(point)
        if compared.outcome == "unclear":
            check_repeats(z, vector(point))
        parts = unflatten(point, network.shapes)
        with network.evaluating(parts):
            known = self._slope(network, parts, z, rows) is None
        if compared.outcome == "differs" or known:
            return compared
        w = check_direction(z.flatten(), [z.shape])

        def slope(flat: Tensor) -> Tensor:
            with network.evaluating(parts):
                found = self._slope(network, parts, flat.view(z.shape), rows)
            assert found is not None
            return found.detach().flatten()

        weighed = compare_with_differences(
            lambda: passes(point).weight(w.view(z.shape)).flatten(), slope, z.flatten(), w
        )
        if weighed.outcome == "unclear":
            check_repeats(slope(z.flatten()), slope(z.flatten()))
        return weighed if weighed.outcome != "agrees" else compared

    def _passes(self, network: NetworkFunction, leaves: Sequence[Tensor], batch: Batch) -> _Passes:
        with SmoothNorms(2):
            with network.evaluating(leaves):  # the loss may read what the module holds, too
                z = self._vector(network, leaves, batch)
                weight = self._weight(network, leaves, z.detach(), batch)
            check_dependence(z, network.names)
            # J^T w is linear in w: its derivative along v is J v.
            w = torch.ones_like(z, requires_grad=True)
            transposed = torch.autograd.grad(z, leaves, w, create_graph=True, materialize_grads=True)
        if not self._whole:
            check_backward(transposed, w)
            self._whole = True
        linear = [(t, i) for i, t in enumerate(transposed) if t.requires_grad]

        def forward(v: Tensor) -> Tensor:
            if not linear:
                return torch.zeros_like(z)
            parts = unflatten(v, network.shapes)
            return torch.autograd.grad(
                [t for t, _ in linear], w, [parts[i] for _, i in linear], retain_graph=True, materialize_grads=True
            )[0]

        def backward(w: Tensor) -> Tensor:
            return flatten(torch.autograd.grad(z, leaves, w, retain_graph=True, materialize_grads=True))

        return _Passes(forward, backward, weight)

    def _outputs(self, network: NetworkFunction, leaves: Sequence[Tensor], batch: Batch) -> Tensor:
        outputs = network.outputs(leaves, network.inputs_of(batch))
        if not isinstance(outputs, Tensor):
            raise InputError(
                f"the network's outputs are a {type(outputs).__name__}; expected one tensor, for instance by "
                "forward=lambda model, batch: model(**batch).logits"
            )
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
