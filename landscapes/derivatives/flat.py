"""One flat vector instead of many parameter tensors."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

__all__ = ["flatten", "unflatten"]


def flatten(tensors: Iterable[Tensor], out: Tensor | None = None) -> Tensor:
    """Concatenate tensors into one vector of shape ``(d,)``, dense also where embeddings have sparse gradients.

    Args:
        tensors: of any shapes.
        out: where to write, for tensors without a graph; default: a new vector.

    Example:
        >>> import torch
        >>> flatten([torch.ones(2, 2), torch.zeros(1)]).tolist()
        [1.0, 1.0, 1.0, 1.0, 0.0]
    """
    return torch.cat([(t.to_dense() if t.is_sparse else t).reshape(-1) for t in tensors], out=out)


def unflatten(x: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Views into ``x`` of the given shapes: nothing is copied, and the backward pass of the split is one concatenation.

    Example:
        >>> import torch
        >>> [view.shape for view in unflatten(torch.arange(5.0), [torch.Size([2, 2]), torch.Size([1])])]
        [torch.Size([2, 2]), torch.Size([1])]
    """
    parts = x.split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
