"""That a route goes through does not make it right: each is compared with differences before it is trusted."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from .batch_rows import count_rows, some_rows
from .derivative_check import Comparison, check_direction, compare_with_differences, without_constants
from .errors import InputError
from .flat import unflatten
from .landscape import Terms
from .network_function import Batch, NetworkFunction
from .plain_evaluation import differentiable
from .reverse_products import check_backward, check_dependence
from .routes import first_line, is_out_of_memory, take_route
from .smooth_norms import SmoothNorms
from .suspect import find_suspect

__all__ = [
    "RouteCheck",
    "UnsteadyLossError",
    "UnusableError",
    "WrongDerivativeError",
    "check_repeats",
    "describe",
    "loss_of_few",
    "ways_to_check",
]

# Examples that a derivative is checked on (ours: the check of a Hessian then costs less than three gradients of 32).
_FEW = 8


class WrongDerivativeError(Exception):
    """A route that goes through, and comes out wrong."""


class UnsteadyLossError(InputError):
    """A loss that is not a function of the parameters: two values at one point."""


class UnusableError(Exception):
    """The network cannot be evaluated in this way."""


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
    """

    def __init__(self, network: NetworkFunction, *, enabled: bool = True) -> None:
        self.network, self.enabled = network, enabled
        self.found: dict[tuple[str, int], str] = {}
        self._passed: set[str] = set()  # what else has been looked at

    def on(self, network: NetworkFunction) -> "RouteCheck":
        """The same for a snapshot of the network; what either has found out, both know."""
        twin = copy.copy(self)
        twin.network = network
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
            return
        if (name, order) in self.found or (not self.enabled and name != "reverse"):
            return
        if not self.enabled:
            self._check_backward(x, batch)
            return
        below = self.sound_below(order, x, batch)
        for network, rows, strong in ways_to_check(self.network, batch):
            try:
                compared = _compare(name, below, order, x, network, rows)
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
                raise WrongDerivativeError(_accusation(compared, order, x, network, rows))
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
        gradient: Terms = [(1.0, ())]
        for network, rows, _ in ways_to_check(self.network, batch):
            point = x.to(network.dtype)
            try:
                first, second = (take_route("reverse", network, point, gradient, rows) for _ in range(2))
            except Exception as error:
                if network is self.network and is_out_of_memory(error):
                    raise
                continue
            check_repeats(first, second)
            break
        self._passed.add("steady")

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
    tolerance = torch.finfo(first.dtype).eps ** 0.75 * float(first.norm())
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


def _compare(name: str, below: str, order: int, x: Tensor, network: NetworkFunction, rows: Batch) -> Comparison:
    point = x.to(network.dtype)
    u = check_direction(point, network.shapes)

    def lower(p: Tensor) -> Tensor:
        try:
            return take_route(below, network, p, [(1.0, (u,) * (order - 1))], rows)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise UnusableError from error

    def found() -> Tensor:
        if name != "vmap":
            return take_route(name, network, point, [(1.0, (u,) * order)], rows)
        points, directions = torch.stack([point, 0.9 * point]), torch.stack([u, u])
        return take_route(name, network, points, [(1.0, (directions,) * order)], rows)[0]

    sizes = [shape.numel() for shape in network.shapes]
    compared = compare_with_differences(found, lower, point, u, sizes)
    if compared.outcome == "agrees":
        return compared
    above, below_it = (take_route("reverse", network, point + s * u, [(1.0, ())], rows) for s in (1e-6, -1e-6))
    moving = without_constants(u, above, below_it)
    if moving is None:
        return compared
    u = moving
    return compare_with_differences(found, lower, point, u, sizes)


def _accusation(compared: Comparison, order: int, x: Tensor, network: NetworkFunction, rows: Batch) -> str:
    lower = ("gradients", "Hessian products", "third derivatives")[min(order, 3) - 1]
    with differentiable(network.device):
        suspect = find_suspect(network, unflatten(x.to(network.dtype), network.shapes), rows, order)
    place = network.names[compared.block]
    return f"by {compared.error:.0%} off differences of {lower} at '{place}'; the fault lies in {suspect}"


def describe(compared: Comparison, network: NetworkFunction, rows: Batch, strong: bool) -> str:
    """What a comparison that was passed says, in words."""
    count = count_rows(rows)
    examples = "one batch" if count is None else f"{count} example{'s' * (count != 1)}"
    where = f"({str(network.dtype).removeprefix('torch.')}, {examples})"
    if compared.outcome == "unclear":
        return f"weak check: differences do not agree among themselves {where}"
    return f"{'' if strong else 'weak check: '}within {compared.error:.1g} of differences {where}"
