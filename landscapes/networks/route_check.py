"""That a route goes through does not make it right: each is compared with differences before it is trusted."""

import copy
import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from ..derivatives.derivative_check import UnusableError, is_asymmetric
from ..derivatives.flat import unflatten
from ..derivatives.plain_evaluation import differentiable
from ..derivatives.reverse_products import check_backward, check_dependence
from ..derivatives.smooth_norms import SmoothNorms
from .network_function import Batch, NetworkFunction
from .pair_comparison import compare_pairs
from .route_comparison import (
    GRADIENT,
    NO_HESSIAN,
    UnsteadyLossError,
    WrongDerivativeError,
    accusation,
    check_repeats,
    compare_route,
    describe,
    gradient_at,
    loss_of_few,
    ways_to_check,
)
from .routes import first_line, is_out_of_memory, take_route

__all__ = ["RouteCheck"]


class RouteCheck:
    """Admits a route to an order of derivative, and refuses one that is wrong, the first time it is taken.

    The derivative of the loss of at most 8 examples is compared with central differences of the derivative one order
    below, along a random direction, in float64: there neither rounding nor the kinks of rectifiers disturb. The order
    below is that of a route that has been admitted; the gradient is taken on trust. A network that cannot be computed
    in float64 is compared in its own precision, where right networks with rectifiers differ from differences, and only
    clear disagreement counts: a *weak check*.

    Routes of several pairs in one pass are compared with single pairs by a route that has been admitted.

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
        self._pairs: set[tuple[str, int, bool]] = set()

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
                compared, point = compare_route(name, below, order, x, network, self.network, rows)
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
                self.wrong[name, order] = accusation(compared, order, point, network, rows)
                raise WrongDerivativeError(self.wrong[name, order])
            if name == "func":  # which may follow a gradient that is not one
                self._check_symmetry(x, batch)
            self.found[name, order] = describe(compared, network, rows, strong)
            return

    def admit_pairs(self, name: str, order: int, x: Tensor, batches: Sequence[Batch]) -> None:
        """Check a route of passes, ``x`` of shape ``(d,)``; one batch for all pairs and several go different ways.

        Raises:
            WrongDerivativeError: it is wrong.
            UnsteadyLossError: the loss is no function.
            Exception: whatever the route or the network itself raises.
        """
        key = name, order, any(batch is not batches[0] for batch in batches)
        if key in self._pairs:
            return
        if not self.enabled:
            if "isolated" not in self._passed:  # which shows outside of vmap only
                take_route("reverse", self.network, x, GRADIENT, batches[0])
                self._passed.add("isolated")
            return
        if (name, order) in self.wrong:
            raise WrongDerivativeError(self.wrong[name, order])
        single = self.sound_below(order + 1, x, batches[0])
        try:
            self.found[name, order] = compare_pairs(name, single, order, x, self.network, batches)
        except WrongDerivativeError as error:
            self._check_steady(x, batches[0])
            self.wrong[name, order] = first_line(error)
            raise
        self._pairs.add(key)

    def admit_losses(self, losses: Tensor, x: Tensor, batches: Sequence[Batch]) -> None:
        """Compare losses of a pass with those of its first and last pair alone, once.

        Raises:
            WrongDerivativeError: they differ.
        """
        key = "losses", 0, any(batch is not batches[0] for batch in batches)
        if not self.enabled or key in self._pairs:
            return
        with torch.no_grad():
            alone = [
                float(self.network.loss(unflatten(x[i].detach(), self.network.shapes), batches[i])) for i in (0, -1)
            ]
        tolerance = torch.finfo(losses.dtype).eps ** 0.5
        for i, loss in zip((0, -1), alone, strict=True):
            if not abs(float(losses[i].detach()) - loss) <= tolerance * abs(loss) and loss == loss:
                raise WrongDerivativeError(f"a loss of a pass is {float(losses[i].detach()):.6g}, alone {loss:.6g}")
        self._pairs.add(key)

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
                first, second = (take_route("reverse", network, point, GRADIENT, rows) for _ in range(2))
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
            gradient = functools.partial(gradient_at, network, rows)
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
