"""Room for many vectors, without the cost of fresh memory."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["empty_rows"]

_LARGE = 1 << 22  # bytes from which numpy asks for huge pages
_TYPES = {torch.float32: np.float32, torch.float64: np.float64}


def empty_rows(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Like ``torch.empty``, of memory in huge pages where Linux gives these on demand.

    The first write to a page of 4 KiB costs more than the numbers on it: to fill 100 vectors of 3e5 fresh numbers
    took 55 ms with torch's memory, 13 with numpy's, and 5 the second time.

    Example:
        >>> import torch
        >>> empty_rows((2, 3), torch.float32, torch.device("cpu")).shape
        torch.Size([2, 3])
    """
    size = dtype.itemsize
    for n in shape:
        size *= n
    if device.type != "cpu" or dtype not in _TYPES or size < _LARGE:
        return torch.empty(*shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(tuple(shape), _TYPES[dtype]))
