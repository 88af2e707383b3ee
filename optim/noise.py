"""Random vectors that are the same on every device and worker: drawn on the CPU, from a seed that says what for."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .vector import Vector

__all__ = ["gaussian", "generator_of", "uniform"]

Sampler = Callable[..., Tensor]


def generator_of(words: str) -> torch.Generator:
    """A generator whose numbers depend on a text alone.

    Neighbouring seeds of torch's generator, and seeds that others use, would make related numbers.

    Example:
        >>> one, same, other = (generator_of(words).initial_seed() for words in ("step 1", "step 1", "step 2"))
        >>> one == same, one == other
        (True, False)
    """
    digest = hashlib.sha256(words.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def gaussian(parameters: Sequence[Tensor], generator: torch.Generator) -> Vector:
    """Standard normal numbers; real and imaginary parts of complex ones have variance 1 each."""
    return Vector(_drawn(torch.randn, p, generator) for p in parameters)


def uniform(parameters: Sequence[Tensor], generator: torch.Generator) -> Vector:
    """Numbers from [-1, 1]; real and imaginary parts of complex ones alike."""
    return Vector(_drawn(torch.rand, p, generator, 2.0, -1.0) for p in parameters)


def _drawn(sampler: Sampler, p: Any, generator: torch.Generator, scale: float = 1.0, offset: float = 0.0) -> Tensor:
    shape = (*p.shape, 2) if p.is_complex() else p.shape
    numbers = sampler(shape, generator=generator, dtype=torch.float32, device="cpu")  # of every type the same ones
    numbers = numbers * scale + offset
    whole = torch.view_as_complex(numbers) if p.is_complex() else numbers
    if hasattr(p, "device_mesh"):  # every worker draws all of it and takes its own shard
        from torch.distributed.tensor import distribute_tensor

        whole = distribute_tensor(whole.to(p.device, p.dtype), p.device_mesh, p.placements, src_data_rank=None)
    return whole.to(p.device, p.dtype)
