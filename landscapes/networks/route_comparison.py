"""A derivative by one route beside differences of the one below, on a few examples, and what that says."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..derivatives.derivative_check import Comparison, compare_near, percent, without_constants
from ..derivatives.flat import unflatten
from ..derivatives.plain_evaluation import differentiable
from ..landscape import Terms
from .batch_rows import count_rows, some_rows
from .network_function import Batch, NetworkFunction
from .routes import is_out_of_memory, take_route
from .suspect import find_suspect

__all__ = [
    "FEW",
    "GRADIENT",
    "NO_HESSIAN",
    "PRECISION",
    "UnsteadyLossError",
    "WrongDerivativeError",
    "accusation",
    "check_repeats",
    "compare_route",
    "describe",
    "gradient_at",
    "loss_of_few",
    "ways_to_check",
]


# Examples that a derivative is checked on (ours: the check of a Hessian then costs less than three gradients of 32).
FEW = 8
GRADIENT: Terms = [(1.0, ())]
NO_HESSIAN = (
    "the gradient is not that of any function, so there is no Hessian: a part of the network is detached, or a "
    "backward pass is not the derivative of its forward pass (straight-through, reversal); check=False gives what "
    "torch makes of it"
)
PRECISION = 0.1  # by which a product may differ between the network's own precision and float64


class WrongDerivativeError(Exception):
    """A route that goes through, and comes out wrong."""


class UnsteadyLossError(InputError):
    """A loss that is not a function of the parameters: two values at one point."""


def ways_to_check(network: NetworkFunction, batch: Batch) -> Iterator[tuple[NetworkFunction, Batch, bool]]:
    """The network and the examples to compare on, the best first, and whether that makes a strong check."""
    few = some_rows(batch, FEW)
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
    few = some_rows(batch, FEW)
    if few is not batch:
        try:
            return network.loss(parameters, few), (count_rows(few) or 1) / (count_rows(batch) or 1)
        except Exception as error:  # what is wrong with the network shows on the whole batch, too
            if is_out_of_memory(error):
                raise
    return network.loss(parameters, batch), 1.0


def compare_route(
    name: str, below: str, order: int, x: Tensor, network: NetworkFunction, own: NetworkFunction, rows: Batch
) -> tuple[Comparison, Tensor]:
    """A route beside differences, and beside itself in the network's own precision; and the point looked at."""
    last: list[Tensor] = []

    def found(point: Tensor, u: Tensor) -> Tensor:
        last[:] = [_along(u, point, name, order, network, rows)]
        return last[0]

    def constants(point: Tensor, u: Tensor) -> Tensor | None:
        sides = (take_route("reverse", network, point + s * u, GRADIENT, rows) for s in (1e-6, -1e-6))
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


def gradient_at(network: NetworkFunction, rows: Batch, x: Tensor) -> Tensor:
    """The gradient of some examples' loss, by reverse mode, which is taken on trust."""
    return take_route("reverse", network, x, GRADIENT, rows)


def _along(u: Tensor, point: Tensor, name: str, order: int, network: NetworkFunction, rows: Batch) -> Tensor:
    """One derivative along one direction."""
    return take_route(name, network, point, [(1.0, (u,) * order)], rows)


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
    if error <= PRECISION * size:
        return
    gradient = take_route("reverse", double, point, GRADIENT, rows)  # what rounding is measured by
    if error > PRECISION * size + 1e-3 * float(gradient.norm()):
        raise WrongDerivativeError(
            f"by {percent(error / size if size else torch.inf)} off in {str(own.dtype).removeprefix('torch.')} what it "
            "is in float64: digits cancel, or the network computes something else in that type"
        )


def accusation(compared: Comparison, order: int, x: Tensor, network: NetworkFunction, rows: Batch) -> str:
    """What is wrong with a derivative, and where, in words."""
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
