"""Whether a loss is the mean that several batches are combined by."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ..derivatives.derivative_check import check_direction, generic_point
from ..derivatives.flat import flatten, unflatten
from ..derivatives.plain_evaluation import differentiable
from .batch_rows import count_rows, take_rows
from .network_function import Batch, NetworkFunction

__all__ = ["check_mean"]

_GROUPED = nn.modules.batchnorm._BatchNorm
# By how much a part may count more or less than said, and where rounding ends (in units of it).
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}
_ROUNDING = 30


def check_mean(network: NetworkFunction, parameters: Sequence[Tensor], batch: Batch) -> None:
    """Refuse a loss of a batch other than the mean of those of its parts, each weighted by its count.

    A sum over examples is no mean; one with class weights or ignored targets is divided by something other than the
    number of examples. Averaging such losses over batches gives a number that is wrong and looks right. What is looked
    at is how much each part counts: the losses of an untrained network's examples are nearly the same, so that their
    mean says little, and is then taken in float64. Behind a head of zeros they are equal, and say nothing; so one looks
    near the given parameters (:func:`generic_point`). One forward pass, or two more where the outputs are not one
    tensor with a row for each example.

    Raises:
        InputError: the parts count otherwise, with the repair.

    Example:
        >>> import torch
        >>> def loss(outputs, targets):
        ...     return torch.nn.functional.mse_loss(outputs, targets, reduction="sum")
        >>> network = NetworkFunction(torch.nn.Linear(2, 1), loss)
        >>> check_mean(network, list(network.model.parameters()), (torch.eye(2), torch.ones(2, 1)))
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: the loss of a batch is ... (no reduction="sum"), or say what it is ...
    """
    rows = count_rows(batch)
    if rows is None or rows < 2:
        return
    given = flatten(p.detach().to(network.dtype) for p in parameters)
    for x in (generic_point(given, check_direction(given, network.shapes)), given):
        if _check_at(unflatten(x, network.shapes), network, batch, rows):
            return


def _check_at(parameters: Sequence[Tensor], network: NetworkFunction, batch: Batch, rows: int) -> bool:
    """Whether anything can be said there; refuses what is wrong."""
    # Of three sizes, so that targets in turn, as in sorted or balanced data, do not give each its share by chance.
    ends = sorted({0, 1, min(rows, rows // 3 + 2), rows})
    cuts = [slice(*pair) for pair in itertools.pairwise(ends)]
    batches = [batch, *(take_rows(batch, cut) for cut in cuts)]
    with differentiable(network.device), torch.no_grad(), network.evaluating(parameters):
        outputs = network.outputs(parameters, network.inputs_of(batch))
    split = isinstance(outputs, Tensor) and outputs.ndim > 0 and len(outputs) == rows
    if not split and network.mode == "train" and any(isinstance(m, _GROUPED) for m in network.model.modules()):
        return True  # the parts are another function, and nothing can be said
    exact = network.in_double()
    ways = [exact, network] if split else [network, exact]  # where only the loss is evaluated, float64 costs nothing
    for given in ways:
        try:
            if split:
                z = outputs.to(given.dtype)
                values = _losses(given, parameters, batches, [z, *(z[cut] for cut in cuts)])
            else:
                values = _losses(given, parameters, batches, None)
        except Exception:
            if given is network:
                raise
            continue  # of a type that the loss does not take, or too large
        if _is_settled(values, [network.count(part) for part in batches[1:]], given.dtype):
            return True
    return False


def _losses(network: NetworkFunction, parameters: Sequence[Tensor], batches: list[Batch], outputs: Any) -> list[float]:
    """Of a whole batch and its parts, whose outputs may be known."""
    parameters = [p.detach().to(network.dtype) for p in parameters]
    with differentiable(network.device), torch.no_grad(), network.evaluating(parameters):
        if outputs is None:
            outputs = [network.outputs(parameters, network.inputs_of(batch)) for batch in batches]
        pairs = zip(outputs, batches, strict=True)
        return [float(network.loss_of(given, network.targets_of(batch))) for given, batch in pairs]


def _is_settled(values: list[float], counts: list[float], dtype: torch.dtype) -> bool:
    """Whether the whole is the mean of the parts, seen well enough; refuses where it is seen not to be."""
    whole, *losses = values
    if not math.isfinite(whole):
        return False  # others will say so
    counted = [(count, loss) for count, loss in zip(counts, losses, strict=True) if count]
    if not counted:
        return True
    mean = sum(count * loss for count, loss in counted) / sum(counts)
    spread = max(loss for _, loss in counted) - min(loss for _, loss in counted)
    rounding = _ROUNDING * torch.finfo(dtype).eps * max(abs(whole), *(abs(loss) for _, loss in counted))
    tolerance = _TOLERANCE[dtype] * spread
    if not abs(whole - mean) <= tolerance + rounding:  # also where it is NaN
        raise InputError(
            f"the loss of a batch is {whole:.6g}, but the mean of the losses of its parts {mean:.6g}; several batches "
            'are combined by a mean: give a loss that is a mean over examples (no reduction="sum"), or say what it is '
            "a mean of (class weights, targets that are not ignored): count=lambda batch: ...; for a loss that couples "
            "its examples (contrastive, ranking), say how much each of an operator's batches counts: weights=[...]"
        )
    return tolerance >= rounding
