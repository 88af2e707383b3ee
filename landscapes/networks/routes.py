"""Routes to contracted derivatives of a network's loss, each as it is: which one is right is for others to say."""

import re
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, jvp

from ..derivatives.flat import flatten, unflatten
from ..derivatives.plain_evaluation import differentiable
from ..derivatives.reverse_products import check_dependence
from ..derivatives.smooth_norms import SmoothNorms
from ..derivatives.taylor.gradient import taylor_gradients_of
from ..derivatives.taylor.jet import NotCoveredError
from ..landscape import Terms, contracted_gradient_of
from .network_function import Batch, NetworkFunction

__all__ = ["expansion_of", "first_line", "is_expansion", "is_out_of_memory", "is_refusal", "order_of", "take_route"]

# What torch says where a function cannot be differentiated once more.
_REFUSAL = re.compile(
    r"derivative (for|of) .*is not implemented|differentia(te|ble) twice|not.* support double.backward", re.IGNORECASE
)
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


def take_route(
    name: str, network: NetworkFunction, x: Tensor, terms: Terms, batch: Batch, out: Tensor | None = None
) -> Tensor:
    """``sum_t c_t grad^{k+1} f(x)[a_1, ..., a_k, .]`` by one route; whatever goes wrong comes out as it is.

    Args:
        name: ``taylor``, ``reverse``, ``func``, see :class:`NetworkDerivatives`.
        network: the network and its loss.
        x: where, shape ``(d,)``.
        terms: coefficients and directions.
        batch: one batch.
        out: where to write the result, ``(d,)``; default: a new vector.

    Example:
        >>> import torch
        >>> network = NetworkFunction(torch.nn.Linear(1, 1, bias=False), lambda z, y: (z**3).mean())
        >>> x, batch = torch.tensor([2.0]), (torch.ones(1, 1), torch.ones(1, 1))
        >>> [take_route(name, network, x, [(1.0, (x, x))], batch).item() for name in ("taylor", "reverse", "func")]
        [24.0, 24.0, 24.0]
    """
    with differentiable(network.device):
        return _ROUTES[name](network, x, terms, batch, out)


def _gradient(network: NetworkFunction, x: Tensor, terms: Terms, batch: Batch, out: Tensor | None) -> Tensor:
    """By itself, since it is taken most often: no vector is split or joined on the way."""
    leaves = [part.detach().requires_grad_() for part in unflatten(x, network.shapes)]
    value = network.loss(leaves, batch)
    check_dependence(value, network.names)
    weight = torch.as_tensor(sum(c for c, _ in terms), dtype=value.dtype, device=value.device)
    return flatten(torch.autograd.grad(value, leaves, weight, materialize_grads=True), out)


def _taylor(network: NetworkFunction, x: Tensor, terms: Terms, batch: Batch, out: Tensor | None) -> Tensor:
    expansion = expansion_of(terms)
    if expansion is None:
        raise NotCoveredError("derivatives along several directions, or of an order above the third")
    u, coefficients = expansion
    return flatten(
        taylor_gradients_of(
            lambda parameters: network.loss(parameters, batch),
            unflatten(x, network.shapes),
            unflatten(u, network.shapes),
            coefficients,
        ),
        out,
    )


def _reverse(network: NetworkFunction, x: Tensor, terms: Terms, batch: Batch, out: Tensor | None) -> Tensor:
    if not order_of(terms):
        return _gradient(network, x, terms, batch, out)

    def loss(p: Tensor) -> Tensor:
        value = network.loss(unflatten(p, network.shapes), batch)
        check_dependence(value, network.names)
        return value

    result = contracted_gradient_of(loss, x, terms)
    return result if out is None else out.copy_(result)


def _func(network: NetworkFunction, x: Tensor, terms: Terms, batch: Batch, out: Tensor | None) -> Tensor:
    gradient = grad(lambda p: network.loss(unflatten(p, network.shapes), batch))

    def along(function: Callable[[Tensor], Tensor], u: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda p: jvp(function, (p,), (u,))[1]

    total = torch.zeros_like(x)
    with SmoothNorms(1 + order_of(terms)):
        for coefficient, directions in terms:
            function: Callable[[Tensor], Tensor] = gradient
            for direction in directions:
                function = along(function, direction)
            total = total + coefficient * function(x)
    return total if out is None else out.copy_(total)


_ROUTES: dict[str, Callable[[NetworkFunction, Tensor, Terms, Batch, Tensor | None], Tensor]] = {
    "taylor": _taylor,
    "reverse": _reverse,
    "func": _func,
}


def order_of(terms: Terms) -> int:
    """The highest number of directions: 0 for the gradient, 1 for Hessian products."""
    return max((len(directions) for _, directions in terms), default=0)


def is_expansion(terms: Terms) -> bool:
    """Whether the terms are a Taylor expansion along one direction, of at most the third derivative."""
    return expansion_of(terms) is not None


def expansion_of(terms: Terms) -> tuple[Tensor, list[float | Tensor]] | None:
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
    """Whether somebody says that a function cannot be differentiated once more, and not that something is amiss."""
    says_so = isinstance(error, RuntimeError) and _REFUSAL.search(str(error)) is not None
    return says_so or isinstance(error, NotCoveredError)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory was short, which another route would not mend."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(phrase in text for phrase in _OUT_OF_MEMORY)


def first_line(error: Exception) -> str:
    """What it says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
