"""Contracted derivatives of a network's loss, by the cheapest way that the network allows."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.func import grad, jvp

from .errors import InputError
from .flat import flatten, unflatten
from .landscape import Terms, contracted_gradient_of
from .network_function import Batch, NetworkFunction, differentiable
from .smooth_norms import SmoothNorms
from .taylor import NotCoveredError, taylor_gradients_of

__all__ = [
    "NetworkDerivatives",
    "NotDifferentiableError",
    "Route",
    "check_backward",
    "check_dependence",
    "is_refusal",
    "loss_of_few",
]

Route = Literal["auto", "taylor", "reverse", "func"]

# What torch says where a function cannot be differentiated once more.
_REFUSAL = re.compile(
    r"derivative (for|of) .*is not implemented|differentia(te|ble) twice|not.* support double.backward", re.IGNORECASE
)
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")

# Below this many parameters times examples a Hessian product is all overhead, of which two reverse passes have less.
_SMALL = 5_000_000
_FEW = 8  # examples that tell what the graph of a batch looks like


class NotDifferentiableError(InputError):
    """A network that no route can differentiate as often as asked."""


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
        self._checked = False

    def contracted_gradient(self, x: Tensor, terms: Terms, batch: Batch) -> Tensor:
        """At ``x`` of shape ``(d,)``; coefficients are numbers or tensors with one element.

        Raises:
            NotDifferentiableError: no route goes through.
            InputError: the loss is not a scalar, or does not depend on the parameters.
        """
        order = max((len(directions) for _, directions in terms), default=0)
        x, terms = x.detach(), _constant(terms)
        refused: dict[str, str] = {}
        problem: Exception | None = None
        for name, attempt in self._attempts(order, terms, len(batch[0])):
            if (name, order) in self._refused:
                continue
            try:
                with differentiable(self.network.device):
                    result = attempt(x, terms, batch)
            except Exception as error:
                if self.route != "auto":
                    if isinstance(error, NotCoveredError) or is_refusal(error):
                        raise NotDifferentiableError(
                            f"route '{name}' does not cover this network: {_first_line(error)}; use route 'auto'"
                        ) from error
                    raise
                if _is_out_of_memory(error) or not _may_be_limit_of(name, error):
                    raise
                problem, refused[name] = error, _first_line(error)
                continue
            self._refused |= {(n, order): why for n, why in refused.items()}
            reasons = self._reasons(order)
            self.used[order] = name + (f" (refused: {reasons})" if reasons else "")
            return result
        self._refused |= {(n, order): why for n, why in refused.items()}
        raise NotDifferentiableError(
            f"the loss has no derivative of order {order + 1} that torch can compute ({self._reasons(order)}); use "
            "functions that are differentiable often enough, or for the Hessian finite differences"
        ) from problem

    def check_twice(self, x: Tensor, batch: Batch) -> None:
        """Refuse a gradient whose own derivative torch would get wrong; the first batch speaks for all."""
        if self._checked:
            return
        leaves = [part.detach().requires_grad_() for part in unflatten(x, self.network.shapes)]
        with SmoothNorms(2):
            loss, _ = loss_of_few(self.network, leaves, batch)
        check_dependence(loss, self.network)
        weight = torch.ones_like(loss, requires_grad=True)
        check_backward(torch.autograd.grad(loss, leaves, weight, create_graph=True, allow_unused=True), weight)
        self._checked = True

    def _reasons(self, order: int) -> str:
        return "; ".join(f"{n}: {why}" for (n, o), why in self._refused.items() if o == order)

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
        if 1 <= order <= 2 and _expansion(terms) is not None:
            names.insert(len(names) if small else 0, "taylor")
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
        if any(directions for _, directions in terms):
            self.check_twice(x, batch)

        def loss(p: Tensor) -> Tensor:
            value = network.loss(unflatten(p, network.shapes), batch)
            check_dependence(value, network)
            return value

        return contracted_gradient_of(loss, x, terms)

    def _func(self, x: Tensor, terms: Terms, batch: Batch) -> Tensor:
        network = self.network
        gradient = grad(lambda p: network.loss(unflatten(p, network.shapes), batch))

        def along(function: Callable[[Tensor], Tensor], u: Tensor) -> Callable[[Tensor], Tensor]:
            return lambda p: jvp(function, (p,), (u,))[1]

        total = torch.zeros_like(x)
        with SmoothNorms(1 + max((len(directions) for _, directions in terms), default=0)):
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
    return isinstance(error, RuntimeError) and _REFUSAL.search(str(error)) is not None


def loss_of_few(network: NetworkFunction, parameters: Sequence[Tensor], batch: Batch) -> tuple[Tensor, int]:
    """The loss of the first examples of a batch and their number; of all where the network needs them."""
    try:
        return network.loss(parameters, (batch[0][:_FEW], batch[1][:_FEW])), min(_FEW, len(batch[0]))
    except Exception:  # a loss or layer of fixed size; what is wrong with the network shows on the whole batch, too
        return network.loss(parameters, batch), len(batch[0])


def check_dependence(value: Tensor, network: NetworkFunction) -> None:
    """Refuse a loss, or outputs, through which no gradient reaches the parameters."""
    if not value.requires_grad:
        names = ", ".join(network.names[:3]) + (", ..." if len(network.names) > 3 else "")
        raise InputError(
            f"the loss does not depend on the parameters ({names}) in a way that torch can differentiate: it counts, "
            "rounds or detaches, or the network does not use them; give a differentiable loss, and parameters in use"
        )


def _may_be_limit_of(name: str, error: Exception) -> bool:
    """Whether another route may do better than this one, or else will say in its own words what is wrong."""
    # Nested forward passes are tried only where reverse ones were refused, so where the network itself is sound.
    return name == "taylor" or is_refusal(error) or (name == "func" and isinstance(error, RuntimeError))


def check_backward(gradients: Sequence[Tensor | None], weight: Tensor) -> None:
    """Refuse ``J^T w`` that is not differentiable in ``w``: a backward pass on the way has cut the graph.

    Passes marked ``once_differentiable`` leave an error in the graph that only ``backward()`` meets, but
    ``torch.autograd.grad`` passes by; passes of foreign kernels leave nothing. Both would make second derivatives that
    are silently wrong.
    """
    waiting = [g.grad_fn for g in gradients if g is not None and g.grad_fn is not None]
    users: dict[Any, list[Any]] = {node: [] for node in waiting}
    cut, reached = False, list[Any]()
    while waiting:
        node = waiting.pop()
        cut |= node.name() == "torch::autograd::Error"
        if getattr(node, "variable", None) is weight:
            reached.append(node)
        for below, _ in node.next_functions:
            if below is not None:
                if below not in users:
                    users[below] = []
                    waiting.append(below)
                users[below].append(node)
    depends = set(reached)
    while reached:
        new = [node for node in users[reached.pop()] if node not in depends]
        depends.update(new)
        reached += new
    if cut or any(g is not None and g.grad_fn not in depends and bool(g.any()) for g in gradients):
        raise NotImplementedError(
            "a backward pass of this network is not differentiable twice: it is marked once_differentiable, or a "
            "kernel computes it outside of torch's graph"
        )


def _constant(terms: Terms) -> Terms:
    """Coefficients as scalars, and no gradient through them; a direction that occurs twice stays one tensor."""
    directions = {id(a): a.detach() for _, given in terms for a in given}
    return [
        (c.detach().reshape(()) if isinstance(c, Tensor) else c, [directions[id(a)] for a in given])
        for c, given in terms
    ]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(phrase in text for phrase in _OUT_OF_MEMORY)
