"""What a batch's mean loss was divided by: how much the batch counts in a mean over several."""

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, nll_loss

from ...ground.errors import InputError
from .batch_rows import count_rows

__all__ = ["CountFunction", "count_of", "is_known_mean"]

CountFunction = Callable[[Any], float | Tensor]
"""Maps a batch to the number of examples, tokens, or whatever else its mean loss is a mean of."""


def count_of(loss: Any, count: CountFunction | None, targets: Any, batch: Any) -> float:
    """``count(batch)`` if that is given; else the number of examples.

    Torch's cross-entropy divides by the weights of the targets that it does not ignore, so that is its count.

    Raises:
        InputError: the examples cannot be counted; the given count is not a finite number, at least 0.

    Example:
        >>> import torch
        >>> targets = torch.tensor([0, 2, -100, -100])
        >>> batch = torch.zeros(4, 3), targets
        >>> count_of(torch.nn.functional.cross_entropy, None, targets, batch)
        2.0
        >>> weighted = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 1.0, 0.5]))
        >>> count_of(weighted, None, targets, batch), count_of(torch.nn.MSELoss(), None, targets, batch)
        (1.5, 4.0)
    """
    if count is not None:
        value = float(count(batch))
        if not 0 <= value < float("inf"):
            raise InputError(f"count(batch) is {value}; expected what the batch's mean loss was divided by")
        return value
    options = _cross_entropy_options(loss)
    if options is not None and isinstance(targets, Tensor) and not targets.is_floating_point():
        kept = targets[targets != options.get("ignore_index", -100)]
        weight = options.get("weight")
        return float(kept.numel() if weight is None else weight[kept.to(weight.device)].sum())
    rows = count_rows(batch)
    if rows is None:
        raise InputError(
            "the tensors of a batch have first axes of different lengths, so that its examples cannot be counted; give "
            "count=lambda batch: ..., what the batch's mean loss is divided by"
        )
    return float(rows)


def is_known_mean(loss: Any) -> bool:
    """Whether a loss is one of torch's that is, as it stands, the mean of what :func:`count_of` counts.

    Example:
        >>> import torch
        >>> is_known_mean(torch.nn.functional.cross_entropy), is_known_mean(torch.nn.CrossEntropyLoss(reduction="sum"))
        (True, False)
    """
    return _cross_entropy_options(loss) is not None


def _cross_entropy_options(loss: Any) -> dict[str, Any] | None:
    """How cross-entropy or likelihood of torch's own was called; None for any other loss."""
    options: dict[str, Any] = {}
    if type(loss) in (nn.CrossEntropyLoss, nn.NLLLoss):
        options = {"weight": loss.weight, "ignore_index": loss.ignore_index, "reduction": loss.reduction}
    elif isinstance(loss, functools.partial) and loss.func in (cross_entropy, nll_loss) and not loss.args:
        options = loss.keywords
    elif loss not in (cross_entropy, nll_loss):
        return None
    known = options.keys() <= {"weight", "ignore_index", "label_smoothing", "reduction"}  # none of the old ones
    return options if known and options.get("reduction", "mean") == "mean" else None
