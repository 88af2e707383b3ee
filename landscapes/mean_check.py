"""Whether a loss is the mean that several batches are combined by."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .batch_rows import count_rows, take_rows
from .errors import InputError
from .network_function import Batch, NetworkFunction
from .plain_evaluation import differentiable

__all__ = ["check_mean"]


def check_mean(network: NetworkFunction, parameters: Sequence[Tensor], batch: Batch) -> None:
    """Refuse a loss of a batch other than the mean of those of its two parts, each weighted by its count.

    A sum over examples is no mean; one with class weights or ignored targets is divided by something other than the
    number of examples. Averaging such losses over batches gives a number that is wrong and looks right. One forward
    pass, or two more where the outputs are not one tensor with a row for each example.

    Raises:
        InputError: another value, with the repair.

    Example:
        >>> import torch
        >>> def loss(outputs, targets):
        ...     return torch.nn.functional.mse_loss(outputs, targets, reduction="sum")
        >>> network = NetworkFunction(torch.nn.Linear(2, 1), loss)
        >>> check_mean(network, list(network.model.parameters()), (torch.eye(2), torch.ones(2, 1)))
        Traceback (most recent call last):
        ...
        eigensam.landscapes.errors.InputError: the loss of a batch is ... (no reduction="sum"), or say what it is ...
    """
    rows = count_rows(batch)
    if rows is None or rows < 2:
        return
    inputs, targets = network.inputs_of(batch), network.targets_of(batch)
    cuts = slice(0, max(1, rows // 3)), slice(max(1, rows // 3), rows)
    with differentiable(network.device), torch.no_grad(), network.evaluating(parameters):
        outputs = network.outputs(parameters, inputs)
        whole = network.loss_of(outputs, targets)
        split = isinstance(outputs, Tensor) and outputs.ndim > 0 and len(outputs) == rows
        if not split and network.mode == "train" and any(isinstance(m, _GROUPED) for m in network.model.modules()):
            return  # the parts are another function, and nothing can be said
        counts, losses = [], []
        for cut in cuts:
            part = take_rows(batch, cut)
            count = network.count(part)
            if count:
                given = outputs[cut] if split else network.outputs(parameters, network.inputs_of(part))
                counts.append(count)
                losses.append(float(network.loss_of(given, network.targets_of(part))))
    mean = sum(n * value for n, value in zip(counts, losses, strict=True)) / (sum(counts) or 1.0)
    scale = max(abs(float(whole)), *map(abs, losses), 0.0) if losses else 0.0
    if torch.isfinite(whole) and not abs(float(whole) - mean) <= torch.finfo(network.dtype).eps ** 0.5 * scale:
        raise InputError(
            f"the loss of a batch is {float(whole):.6g}, but the mean of the losses of its parts {mean:.6g}; several "
            'batches are combined by a mean: give a loss that is a mean over examples (no reduction="sum"), or say '
            "what it is a mean of (class weights, targets that are not ignored): count=lambda batch: ..."
        )


_GROUPED = nn.modules.batchnorm._BatchNorm
