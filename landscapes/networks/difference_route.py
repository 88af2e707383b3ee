"""Derivatives as differences of those one order below, where nothing better is right."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..derivatives.derivative_check import percent
from ..derivatives.differences import difference_accuracy, differenced_product, natural_step
from ..derivatives.flat import unflatten
from ..landscape import Terms
from .network_function import Batch, NetworkFunction
from .route_check import RouteCheck
from .route_comparison import WrongDerivativeError
from .routes import take_route

__all__ = ["DifferenceRoute"]

_ROUGH = 0.1  # differences at two step sizes that disagree by more are no product


class DifferenceRoute:
    """Extrapolated central differences, in float64 where the network can be computed so, where they are nearly exact.

    In float32 the rounding of a gradient leaves three digits, and rectifiers fewer.

    Args:
        network: the network and its loss.
        check: what knows a right route to the order below.

    Attributes:
        error: by how much differences at two step sizes have disagreed at most, relative; at least what can be
            expected.
    """

    def __init__(self, network: NetworkFunction, check: RouteCheck) -> None:
        self.network, self._check = network, check
        self.error = 0.0
        self._taken: NetworkFunction | None = None

    def take(self, x: Tensor, terms: Terms, batch: Batch) -> Tensor:
        """``sum_t c_t grad^{k+1} f(x)[a_1, ..., a_k, .]``, each term a difference along its last direction.

        Raises:
            WrongDerivativeError: no step size gives a difference to rely on, or no route leads to the order below.
        """
        total = torch.zeros_like(x)
        for coefficient, directions in terms:
            total = total + coefficient * self._derivative(x, directions, batch).to(total)
        return total

    def _derivative(self, x: Tensor, directions: Sequence[Tensor], batch: Batch) -> Tensor:
        network = self._network(x, batch)
        point = x.to(network.dtype)
        if not directions:
            return take_route("reverse", network, point, [(1.0, ())], batch)
        below = self._check.sound_below(len(directions), x, batch)
        *rest, last = (a.to(network.dtype) for a in directions)
        if not last.any():
            return torch.zeros_like(x)
        step = natural_step(unflatten(point, network.shapes), unflatten(last, network.shapes))
        value, error = differenced_product(
            lambda p: take_route(below, network, p, [(1.0, rest)], batch), point, last, step
        )
        if error > _ROUGH:
            raise WrongDerivativeError(
                f"differences at neighbouring step sizes disagree by {percent(error)} ({network.dtype}): the function "
                "has kinks or noise at every scale"
            )
        self.error = max(self.error, error, difference_accuracy(network.dtype))
        return value

    def _network(self, x: Tensor, batch: Batch) -> NetworkFunction:
        """In float64 if that goes through, which is known after one gradient."""
        if self._taken is None:
            double = self.network.in_double()
            try:
                take_route("reverse", double, x.double(), [(1.0, ())], batch)
                self._taken = double
            except Exception:  # of memory, too
                self._taken = self.network
        return self._taken
