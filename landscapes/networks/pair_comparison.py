"""Pairs in one pass beside the same pairs one at a time, on a few examples."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..derivatives.derivative_check import check_direction, percent
from ..landscape import Terms
from .batch_rows import count_rows, some_rows
from .network_function import Batch, NetworkFunction
from .pair_routes import StackedBatches, take_pair_route
from .route_comparison import FEW, PRECISION, WrongDerivativeError, ways_to_check
from .routes import is_out_of_memory, take_route

__all__ = ["compare_pairs"]

# By how much a pair in a pass may differ from the same pair alone, relative: rounding in float64; in single precision
# rounding of sums in another order, and rectifiers that it turns over.
_TOLERANCE, _WEAK_TOLERANCE = 1e-6, 1e-2


def compare_pairs(
    name: str, single: str, order: int, x: Tensor, network: NetworkFunction, batches: Sequence[Batch]
) -> str:
    """Take three pairs, at points, directions and weights of their own, in one pass and one at a time.

    Args:
        name: the route of passes.
        single: a route of single pairs that is right.
        order: of derivative.
        x: where, ``(d,)``.
        network: the network and its loss.
        batches: of a pass; where it has several, the first one and another, which must not be mistaken for it.

    Returns:
        How close they are, in words.

    Raises:
        WrongDerivativeError: the pass is wrong, or cannot be compared.
        Exception: whatever the route or the network itself raises.
    """
    first = batches[0]
    other = next((batch for batch in batches if batch is not first), first)
    problem: Exception = WrongDerivativeError("derivatives at this point are not finite, so passes cannot be compared")
    for given, rows, strong in ways_to_check(network, first):
        others = other if rows is first else some_rows(other, FEW)
        # By identity, as passes tell one batch from several.
        trial = [rows, rows if other is first else others, rows]
        try:
            error, size, pairs = _compare(name, single, order, x.to(given.dtype), given, trial)
            if not bool(size.isfinite().all()):
                continue
            if strong and network.dtype != given.dtype:
                _compare_precisions(name, order, pairs, network, trial)
        except Exception as raised:
            if given is network and is_out_of_memory(raised):
                raise
            problem = raised
            if isinstance(raised, WrongDerivativeError):
                break
            continue
        worst = float((error / size.clamp_min(torch.finfo(size.dtype).tiny)).max())
        kind = str(given.dtype).removeprefix("torch.")
        if not worst <= (_TOLERANCE if strong else _WEAK_TOLERANCE):
            raise WrongDerivativeError(f"by {percent(worst)} off the same pairs one at a time ({kind})")
        examples = "" if (count := count_rows(rows)) is None else f", {count} examples"
        return f"{'' if strong else 'weak check: '}within {worst:.1g} of one pair at a time ({kind}{examples})"
    raise problem


def _compare(
    name: str, single: str, order: int, x: Tensor, network: NetworkFunction, batches: list[Batch]
) -> tuple[Tensor, Tensor, tuple[Tensor, Terms, Tensor]]:
    """Errors and lengths of the pairs' derivatives; the pairs, and what is right."""
    u = check_direction(x, network.shapes)
    points, directions = torch.stack([x, 0.9 * x, 1.1 * x]), torch.stack([u, -0.5 * u, u.flip(0)])
    weights = [x.new_tensor(c) for c in ([1.0, 0.5, 0.7], [0.8, 1.0, -1.0], [1.0, -0.6, 0.9], [0.3, 1.0, 1.0])]
    terms = [(weights[k], (directions,) * k) for k in range(order + 1)]
    found = take_pair_route(name, network, points, terms, StackedBatches.of(batches))
    rows = []
    for i, batch in enumerate(batches):
        direction = directions[i]
        alone = [(float(weights[k][i]), (direction,) * k) for k in range(order + 1)]
        rows.append(take_route(single, network, points[i], alone, batch))
    truth = torch.stack(rows)
    return (found - truth).norm(dim=1), truth.norm(dim=1), (points, terms, truth)


def _compare_precisions(
    name: str, order: int, pairs: tuple[Tensor, Terms, Tensor], network: NetworkFunction, batches: list[Batch]
) -> None:
    """Refuse a pass that in the network's own precision is another one than in float64, where it is right."""
    points, terms, truth = pairs
    directions = {id(a): a.to(network.dtype) for _, given in terms for a in given}
    own: Terms = [
        (c.to(network.dtype) if isinstance(c, Tensor) else c, [directions[id(a)] for a in given]) for c, given in terms
    ]
    found = take_pair_route(name, network, points.to(network.dtype), own, StackedBatches.of(batches))
    error, size = (found.double() - truth).norm(dim=1), truth.norm(dim=1)
    if not bool((error <= PRECISION * size + 1e-3 * size.max()).all()):
        raise WrongDerivativeError(
            f"by {percent(float((error / size).max()))} off in {str(network.dtype).removeprefix('torch.')} what pairs "
            "one at a time are in float64"
        )
