"""The examples of a batch of any structure: a pair of tensors, a dict of a collator, tuples of either.

Rows are the first axis of its tensors; a batch whose tensors differ there has none that could be told apart.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["are_alike", "count_rows", "map_tensors", "some_rows", "take_rows", "tensors_of", "versions_of"]


def map_tensors(batch: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with a function of each tensor; what is neither tensor nor container stays as it is.

    Example:
        >>> import torch
        >>> map_tensors({"ids": torch.tensor([1, 2]), "name": "a"}, lambda t: t + 1)
        {'ids': tensor([2, 3]), 'name': 'a'}
    """
    if isinstance(batch, Tensor):
        return function(batch)
    if isinstance(batch, MutableMapping):
        result = copy.copy(batch)  # keeps the type, on whose attributes a model may rely
        for key, value in batch.items():
            result[key] = map_tensors(value, function)
        return result
    if isinstance(batch, Mapping):
        return {key: map_tensors(value, function) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(part, function) for part in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(map_tensors(part, function) for part in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        names = [item.name for item in dataclasses.fields(batch) if item.init]
        return dataclasses.replace(batch, **{name: map_tensors(getattr(batch, name), function) for name in names})
    return batch


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """All tensors in it, in the order of the structure."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(batch, keep)
    yield from found


def are_alike(a: Any, b: Any) -> bool:
    """Whether two batches differ in the values of their tensors only, so that one can stand for the other's structure.

    Example:
        >>> import torch
        >>> a, b = {"ids": torch.tensor([1, 2]), "length": 2}, {"ids": torch.tensor([3, 4]), "length": 2}
        >>> are_alike(a, b), are_alike(a, {**b, "length": 1})
        (True, False)
    """
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        kinds = [(t.shape, t.dtype, t.device, t.layout) for t in (a, b)]
        return kinds[0] == kinds[1] and a.layout == torch.strided
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(are_alike(value, b[key]) for key, value in a.items())
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(are_alike, a, b))
    if dataclasses.is_dataclass(a):
        return all(are_alike(getattr(a, item.name), getattr(b, item.name)) for item in dataclasses.fields(a))
    return isinstance(a, int | float | str | bytes) and bool(a == b)


def count_rows(batch: Any) -> int | None:
    """The length that all its tensors have in common; None where they differ, or where there are none.

    Example:
        >>> import torch
        >>> count_rows((torch.zeros(5, 2), torch.zeros(5))), count_rows((torch.zeros(5, 2), torch.zeros(4)))
        (5, None)
    """
    tensors = [tensor for tensor in tensors_of(batch) if tensor.ndim]
    if any(tensor.layout != torch.strided for tensor in tensors):
        return None  # rows of sparse ones cannot be cut
    lengths = {len(tensor) for tensor in tensors}
    return lengths.pop() if len(lengths) == 1 else None


def take_rows(batch: Any, rows: slice) -> Any:
    """Some rows of every tensor, as views; only where :func:`count_rows` counts them."""
    return map_tensors(batch, lambda tensor: tensor[rows] if tensor.ndim else tensor)


def some_rows(batch: Any, most: int) -> Any:
    """At most so many rows, spread evenly over the batch; all of it where rows cannot be told apart."""
    count = count_rows(batch)
    if count is None or count <= most:
        return batch
    step = count // most
    return take_rows(batch, slice(0, step * most, step))


def versions_of(batch: Any) -> list[int]:
    """A number for each tensor that grows when the tensor is written to, where torch counts that."""
    return [0 if tensor.is_inference() else tensor._version for tensor in tensors_of(batch)]
