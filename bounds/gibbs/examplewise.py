"""Whether a network is one function of one example."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from ...ground.errors import InputError

__all__ = ["check_examplewise", "evaluation_copy"]


def evaluation_copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode, which nobody trains on: batch norm's statistics and weights stay as they are now."""
    return deepcopy(model).eval().requires_grad_(False)


def check_examplewise(model: nn.Module, inputs: Tensor) -> Tensor:
    """Scores of a few examples, from a network for which they are a function of each example alone.

    Raises:
        InputError: outputs that are no matrix of scores, that are random, or that depend on the other examples of a
            batch (as with batch norm that keeps no statistics): losses would not be those of single examples.

    Example:
        >>> check_examplewise(nn.Linear(2, 3).eval(), torch.ones(4, 2)).shape
        torch.Size([4, 3])
    """
    with torch.no_grad():
        outputs = model(inputs)
        if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != len(inputs) or outputs.shape[1] < 2:
            found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InputError(f"the network gives {found} for {len(inputs)} inputs, need scores (batch, classes)")
        tolerance = 1e-4 * float(outputs.abs().max())
        if not torch.equal(outputs, model(inputs)):
            raise InputError(
                "the network gives other outputs for the same inputs; make its randomness part of the weights"
            )
        halves = torch.cat(
            [model(part) for part in (inputs[: len(inputs) // 2], inputs[len(inputs) // 2 :]) if len(part)]
        )
    if not bool(((halves - outputs).abs() <= tolerance).all()):
        raise InputError(
            "the outputs for an example depend on the other examples of its batch; batch norm must keep statistics"
        )
    return outputs
