"""Contracted derivatives of a network's loss, by the cheapest way that the network allows."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.func import grad, jvp

from .errors import InputError
from .flat import flatten, unflatten
from .landscape import Terms, contracted_gradient_of
from .network_function import Batch, NetworkFunction
from .smooth_norms import SmoothNorms
from .taylor import NotCoveredError, taylor_gradients_of

__all__ = ["NetworkDerivatives", "Route", "is_refusal"]

Route = Literal["auto", "taylor", "reverse", "func"]

_REFUSALS = (
    "is not implemented",
    "not differentiable twice",
    "differentiate twice",
    "does not support double backward",
)  # what torch says where a function cannot be differentiated once more

# Below this many parameters times examples a Hessian product is all overhead, of which two reverse passes have less.
_SMALL = 5_000_000


class NetworkDerivatives:
    """``sum_t c_t grad^{k+1} f(x)[a_1, ..., a_k, .]`` of one batch's loss.

    - ``taylor``: one forward Taylor pass and one backward pass, for expansions along one direction up to second order
      (``g + c_1 H u + c_2 T[u, u]``), where every function of the network has a rule;
    - ``reverse``: nested reverse passes, for anything that torch can differentiate often enough;
    - ``func``: nested forward passes over one reverse pass of ``torch.func``, where nested reverse passes are refused;
    - ``auto``: the first of these that works; a refusal is remembered.

    Args:
        network: the network and its loss.
        route: one of these words.

    Attributes:
        used: for each order of derivative asked for so far (0 is the gradient), the route taken, and why if it was not
            the first choice.
    """

    def __init__(self, network: NetworkFunction, route: Route = "auto") -> None:
        if route not in get_args(Route):
            raise InputError(f"unknown route '{route}'; choose one of: {', '.join(get_args(Route))}")
        self.network, self.route = network, route
        self.used: dict[int, str] = {}
        self._refused: dict[tuple[str, int], str] = {}

    def contracted_gradient(self, x: Tensor, terms: Terms, batch: Batch) -> Tensor:
        """At ``x`` of shape ``(d,)``; coefficients are numbers or tensors with one element."""
        order = max((len(directions) for _, directions in terms), default=0)
        problem: Exception | None = None
        for name, attempt in self._attempts(order, terms, len(batch[0])):
            if (name, order) in self._refused:
                continue
            try:
                result = attempt(x, terms, batch)
            except (NotCoveredError, RuntimeError, TypeError) as error:
                if isinstance(error, torch.OutOfMemoryError) or self.route != "auto":
                    raise _explained(error, name) from error
                if not isinstance(error, NotCoveredError) and name != "taylor" and not is_refusal(error):
                    raise
                problem = error
                self._refused[name, order] = str(error).splitlines()[0]
                continue
            refused = [f"{n}: {why}" for (n, o), why in self._refused.items() if o == order]
            self.used[order] = name + (f" (refused: {'; '.join(refused)})" if refused else "")
            return result
        reasons = "; ".join(f"{n}: {why}" for (n, o), why in self._refused.items() if o == order)
        raise InputError(
            f"the loss has no derivative of order {order + 1} that torch can compute ({reasons}); use functions that "
            "are differentiable often enough, or for the Hessian finite differences"
        ) from problem

    def _attempts(
        self, order: int, terms: Terms, examples: int
    ) -> list[tuple[str, Callable[[Tensor, Terms, Batch], Tensor]]]:
        every: dict[str, Callable[[Tensor, Terms, Batch], Tensor]] = {
            "taylor": self._taylor,
            "reverse": self._reverse,
            "func": self._func,
        }
        if self.route != "auto":
            return [(self.route, every[self.route])]
        names = ["reverse", "func"]
        small = order == 1 and self.network.dim * examples < _SMALL
        if 1 <= order <= 2 and not small and _expansion(terms) is not None:
            names.insert(0, "taylor")
        return [(name, every[name]) for name in names]

    def _taylor(self, x: Tensor, terms: Terms, batch: Batch) -> Tensor:
        expansion = _expansion(terms)
        if expansion is None:
            raise NotCoveredError("derivatives along several directions, or of an order above the third")
        u, coefficients = expansion
        network = self.network
        return flatten(
            taylor_gradients_of(
                lambda parameters: network.loss(parameters, batch),
                unflatten(x, network.shapes),
                unflatten(u, network.shapes),
                coefficients,
            )
        )

    def _reverse(self, x: Tensor, terms: Terms, batch: Batch) -> Tensor:
        network = self.network
        return contracted_gradient_of(lambda p: network.loss(unflatten(p, network.shapes), batch), x, terms)

    def _func(self, x: Tensor, terms: Terms, batch: Batch) -> Tensor:
        network = self.network
        gradient = grad(lambda p: network.loss(unflatten(p, network.shapes), batch))

        def along(function: Callable[[Tensor], Tensor], u: Tensor) -> Callable[[Tensor], Tensor]:
            return lambda p: jvp(function, (p,), (u,))[1]

        total = torch.zeros_like(x)
        with SmoothNorms(1 + max(len(directions) for _, directions in terms)):
            for coefficient, directions in terms:
                function: Callable[[Tensor], Tensor] = gradient
                for direction in directions:
                    function = along(function, direction)
                total = total + coefficient * function(x)
        return total


def _expansion(terms: Terms) -> tuple[Tensor, list[float | Tensor]] | None:
    """The direction and ``c_0, c_1, (c_2)``, if the terms are a Taylor expansion along one direction."""
    coefficients: list[float | Tensor] = [0.0, 0.0, 0.0]
    directions = [a for _, given in terms for a in given]
    if not directions or any(a is not directions[0] for a in directions):
        return None
    order = 0
    for coefficient, given in terms:
        if len(given) > 2:
            return None
        order = max(order, len(given))
        coefficients[len(given)] = coefficients[len(given)] + coefficient
    return directions[0], coefficients[: order + 1]


def is_refusal(error: Exception) -> bool:
    """Whether torch says that a function cannot be differentiated once more."""
    return any(phrase in str(error) for phrase in _REFUSALS)


def _explained(error: Exception, name: str) -> Exception:
    if isinstance(error, NotCoveredError):
        return InputError(f"route '{name}' does not cover this network: {error}; use route 'auto'")
    return error
