"""That a route goes through does not make it right: each is compared with differences before it is trusted."""

import copy
import functools
from collections.abc import Iterator

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..derivatives.derivative_check import (
    Comparison,
    UnusableError,
    compare_near,
    is_asymmetric,
    percent,
    without_constants,
)
from ..derivatives.flat import unflatten
from ..derivatives.plain_evaluation import differentiable
from ..derivatives.reverse_products import check_backward, check_dependence
from ..derivatives.smooth_norms import SmoothNorms
from ..landscape import Terms
from .batch_rows import count_rows, some_rows
from .network_function import Batch, NetworkFunction
from .routes import first_line, is_out_of_memory, take_route
from .suspect import find_suspect

__all__ = [
    "NO_HESSIAN",
    "RouteCheck",
    "UnsteadyLossError",
    "WrongDerivativeError",
    "check_repeats",
    "describe",
    "loss_of_few",
    "ways_to_check",
]

# Examples that a derivative is checked on (ours: the check of a Hessian then costs less than three gradients of 32).
_FEW = 8


_GRADIENT: Terms = [(1.0, ())]
NO_HESSIAN = (
    "the gradient is not that of any function, so there is no Hessian: a part of the network is detached, or a "
    "backward pass is not the derivative of its forward pass (straight-through, reversal); check=False gives what "
    "torch makes of it"
)
_PRECISION = 0.1  # by which a product may differ between the network's own precision and float64


class WrongDerivativeError(Exception):
    """A route that goes through, and comes out wrong."""


class UnsteadyLossError(InputError):
    """A loss that is not a function of the parameters: two values at one point."""


class RouteCheck:
    """Admits a route to an order of derivative, and refuses one that is wrong, the first time it is taken.

    The derivative of the loss of at most 8 examples is compared with central differences of the derivative one order
    below, along a random direction, in float64: there neither rounding nor the kinks of rectifiers disturb. The order
    below is that of a route that has been admitted; the gradient is taken on trust. A network that cannot be computed
    in float64 is compared in its own precision, where right networks with rectifiers differ from differences, and only
    clear disagreement counts: a *weak check*.

    Args:
        network: the network and its loss.
        enabled: whether anything is compared; that graphs are not cut is seen in any case.

    Attributes:
        found: for each route and order admitted so far, how it was checked.
        wrong: for each one that is wrong, why.
    """

    def __init__(self, network: NetworkFunction, *, enabled: bool = True) -> None:
        self.network, self.enabled = network, enabled
        self.found: dict[tuple[str, int], str] = {}
        self.wrong: dict[tuple[str, int], str] = {}
        self._passed: set[str] = set()  # what else has been looked at

    def on(self, network: NetworkFunction, *, enabled: bool = True) -> "RouteCheck":
        """The same for a snapshot of the network; what either has found out, both know."""
        twin = copy.copy(self)
        twin.network, twin.enabled = network, self.enabled and enabled
        return twin

    def admit(self, name: str, order: int, x: Tensor, batch: Batch) -> None:
        """Check a route to an order at ``x``, shape ``(d,)``, on a part of the batch.

        Raises:
            WrongDerivativeError: it is wrong.
            UnsteadyLossError: the loss is no function.
            Exception: whatever the route or the network itself raises.
        """
        if order == 0:
            return
        if name == "difference":
            self._check_steady(x, batch)
            self._check_symmetry(x, batch)
            return
        if (name, order) in self.found or (not self.enabled and name != "reverse"):
            return
        if not self.enabled:
            self._check_backward(x, batch)
            return
        if (name, order) in self.wrong:
            raise WrongDerivativeError(self.wrong[name, order])
        below = self.sound_below(order, x, batch)
        for network, rows, strong in ways_to_check(self.network, batch):
            try:
                compared, point = _compare(name, below, order, x, network, self.network, rows)
            except UnusableError:
                continue
            except Exception as error:
                if network is self.network or not is_out_of_memory(error):
                    raise
                continue  # twice the memory is too much
            if compared.outcome != "agrees" or not strong:
                if name == "reverse":
                    self._check_backward(x, batch)  # it may say more, and is sure
                self._check_steady(x, batch)
            if compared.outcome == "differs":
                self.wrong[name, order] = _accusation(compared, order, point, network, rows)
                raise WrongDerivativeError(self.wrong[name, order])
            if name == "func":  # which may follow a gradient that is not one
                self._check_symmetry(x, batch)
            self.found[name, order] = describe(compared, network, rows, strong)
            return

    def sound_below(self, order: int, x: Tensor, batch: Batch) -> str:
        """A route to the order below that is right.

        Raises:
            WrongDerivativeError: there is none.
        """
        if order == 1 or not self.enabled:
            return "reverse"
        problems = []
        for name in ("reverse", "func", "taylor"):
            try:
                self.admit(name, order - 1, x, batch)
            except UnsteadyLossError:
                raise
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                problems.append(f"{name}: {first_line(error)}")
            else:
                return name
        raise WrongDerivativeError(f"the derivative one order below is not to be had ({'; '.join(problems)})")

    def _check_steady(self, x: Tensor, batch: Batch) -> None:
        """Refuse a loss that draws random numbers, or remembers: two gradients at one point differ."""
        if "steady" in self._passed or not self.enabled:
            return
        for network, rows, _ in ways_to_check(self.network, batch):
            point = x.to(network.dtype)
            try:
                first, second = (take_route("reverse", network, point, _GRADIENT, rows) for _ in range(2))
            except Exception as error:
                if network is self.network and is_out_of_memory(error):
                    raise
                continue
            check_repeats(first, second)
            break
        self._passed.add("steady")

    def _check_symmetry(self, x: Tensor, batch: Batch) -> None:
        """Refuse to differentiate a gradient that is not that of any function, see :func:`is_asymmetric`."""
        if "symmetric" in self._passed or not self.enabled:
            return
        for network, rows, strong in ways_to_check(self.network, batch):
            if not strong:
                break  # in single precision kinks would be taken for asymmetry
            gradient = functools.partial(_gradient, network, rows)
            try:
                asymmetric = is_asymmetric(gradient, x.to(network.dtype), network.shapes)
            except Exception:  # it cannot be evaluated in this way
                continue
            if asymmetric:
                raise WrongDerivativeError(NO_HESSIAN)
            break
        self._passed.add("symmetric")

    def _check_backward(self, x: Tensor, batch: Batch) -> None:
        """Refuse a gradient whose graph is cut; the first batch speaks for all."""
        if "whole" in self._passed:
            return
        leaves = [part.detach().requires_grad_() for part in unflatten(x, self.network.shapes)]
        with differentiable(self.network.device), SmoothNorms(2):
            loss, _ = loss_of_few(self.network, leaves, batch)
            check_dependence(loss, self.network.names)
            weight = torch.ones_like(loss, requires_grad=True)
            check_backward(torch.autograd.grad(loss, leaves, weight, create_graph=True, allow_unused=True), weight)
        self._passed.add("whole")


def ways_to_check(network: NetworkFunction, batch: Batch) -> Iterator[tuple[NetworkFunction, Batch, bool]]:
    """The network and the examples to compare on, the best first, and whether that makes a strong check."""
    few = some_rows(batch, _FEW)
    for given in (network.in_double(), network):
        strong = given.dtype == torch.float64
        yield given, few, strong
        if few is not batch:  # a loss or layer of fixed size
            yield given, batch, strong


def check_repeats(first: Tensor, second: Tensor) -> None:
    """Refuse two values at one point that differ by more than rounding.

    Raises:
        UnsteadyLossError: they do.
    """
    tolerance = torch.finfo(first.dtype).eps ** 0.5 * float(first.norm())
    if bool(first.isfinite().all()) and not float((first - second).norm()) <= tolerance:
        raise UnsteadyLossError(
            "two evaluations at one point differ: the network or its loss draws random numbers (dropout or "
            "augmentation that does not look at the module's mode) or remembers; give a function of the parameters"
        )


def loss_of_few(network: NetworkFunction, parameters: list[Tensor], batch: Batch) -> tuple[Tensor, float]:
    """The loss of some examples of a batch, and which part of it they are; of all where the network needs them."""
    few = some_rows(batch, _FEW)
    if few is not batch:
        try:
            return network.loss(parameters, few), (count_rows(few) or 1) / (count_rows(batch) or 1)
        except Exception as error:  # what is wrong with the network shows on the whole batch, too
            if is_out_of_memory(error):
                raise
    return network.loss(parameters, batch), 1.0


def _compare(
    name: str, below: str, order: int, x: Tensor, network: NetworkFunction, own: NetworkFunction, rows: Batch
) -> tuple[Comparison, Tensor]:
    """A route beside differences, and beside itself in the network's own precision; and the point looked at."""
    last: list[Tensor] = []

    def found(point: Tensor, u: Tensor) -> Tensor:
        last[:] = [_along(u, point, name, order, network, rows)]
        return last[0]

    def constants(point: Tensor, u: Tensor) -> Tensor | None:
        sides = (take_route("reverse", network, point + s * u, _GRADIENT, rows) for s in (1e-6, -1e-6))
        return without_constants(u, *sides)

    compared, point, u = compare_near(
        found,
        lambda p, u: take_route(below, network, p, [(1.0, (u,) * (order - 1))], rows),
        constants,
        x.to(network.dtype),
        network.shapes,
        [shape.numel() for shape in network.shapes],
    )
    if compared.outcome == "agrees" and own.dtype != network.dtype:
        _compare_precisions(u, last[0], point, name, order, network, own, rows)
    return compared, point


def _gradient(network: NetworkFunction, rows: Batch, x: Tensor) -> Tensor:
    return take_route("reverse", network, x, _GRADIENT, rows)


def _along(u: Tensor, point: Tensor, name: str, order: int, network: NetworkFunction, rows: Batch) -> Tensor:
    """One derivative along one direction."""
    if name != "vmap":
        return take_route(name, network, point, [(1.0, (u,) * order)], rows)
    points, directions = torch.stack([point, 0.9 * point]), torch.stack([u, u])
    return take_route(name, network, points, [(1.0, (directions,) * order)], rows)[0]


def _compare_precisions(
    u: Tensor,
    exact: Tensor,
    point: Tensor,
    name: str,
    order: int,
    double: NetworkFunction,
    own: NetworkFunction,
    rows: Batch,
) -> None:
    """Refuse a derivative that in the network's own precision is another one than in float64, where it is right.

    Raises:
        WrongDerivativeError: it is; cancellation or code for one type only.
    """
    single = _along(u.to(own.dtype), point.to(own.dtype), name, order, own, rows)
    error, size = float((single.double() - exact).norm()), float(exact.norm())
    if error <= _PRECISION * size:
        return
    gradient = take_route("reverse", double, point, _GRADIENT, rows)  # what rounding is measured by
    if error > _PRECISION * size + 1e-3 * float(gradient.norm()):
        raise WrongDerivativeError(
            f"by {percent(error / size if size else torch.inf)} off in {str(own.dtype).removeprefix('torch.')} what it "
            "is in float64: digits cancel, or the network computes something else in that type"
        )


def _accusation(compared: Comparison, order: int, x: Tensor, network: NetworkFunction, rows: Batch) -> str:
    lower = ("gradients", "Hessian products", "third derivatives")[min(order, 3) - 1]
    with differentiable(network.device):
        suspect = find_suspect(network, unflatten(x.to(network.dtype), network.shapes), rows, order)
    place = network.names[compared.block]
    return f"by {percent(compared.error)} off differences of {lower} at '{place}'; the fault lies in {suspect}"


def describe(compared: Comparison, network: NetworkFunction, rows: Batch, strong: bool) -> str:
    """What a comparison that was passed says, in words."""
    count = count_rows(rows)
    examples = "one batch" if count is None else f"{count} example{'s' * (count != 1)}"
    where = f"({str(network.dtype).removeprefix('torch.')}, {examples})"
    if compared.outcome == "unclear":
        return f"weak check: differences do not agree among themselves {where}"
    return f"{'' if strong else 'weak check: '}within {compared.error:.1g} of differences {where}"
