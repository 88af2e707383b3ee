"""Matrices ``J^T B J`` of a network, with the Jacobian of what it computes, by two reverse passes."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

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
from ..derivatives.reverse_products import check_backward, check_dependence
from ..derivatives.smooth_norms import SmoothNorms
from ..networks.network_derivatives import NotDifferentiableError
from ..networks.network_function import Batch, NetworkFunction
from ..networks.route_comparison import check_repeats, describe, ways_to_check
from ..networks.routes import first_line, is_refusal
from .network_operator import NetworkOperator

__all__ = ["NetworkJacobian"]


class _Passes(NamedTuple):
    """``J v``, ``J^T w`` and ``B w`` at one point, over a graph that is kept."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor], Tensor]
    weight: Callable[[Tensor], Tensor]


class NetworkJacobian(NetworkOperator):
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
        if self._checks and self._how == NetworkJacobian._how:
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
