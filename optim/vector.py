"""One vector over all parameters, kept as the tensors that it consists of: nothing is copied into one piece."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from ..landscapes.derivatives.flat import unflatten

__all__ = ["Vector", "real_view"]

_SMALLEST_SQUARED = 1e-18  # norm of float32 numbers whose squares are still exact


def real_view(tensor: Tensor) -> Tensor:
    """The numbers of a tensor that this process holds, as real ones: complex as pairs, of a sharded one the own shard.

    Example:
        >>> import torch
        >>> real_view(torch.tensor([1 + 2j])).tolist()
        [[1.0, 2.0]]
    """
    if hasattr(tensor, "to_local"):
        shard: Any = tensor.detach()
        tensor = shard.to_local()
    return torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor


class Vector:
    """Tensors that are one vector; what is called ``..._`` changes them in place.

    Norms and products are Python numbers, over all processes that hold shards. Methods compute with these few numbers,
    so a step synchronises with an accelerator a few times. A common factor is kept beside the tensors until they are
    needed, so scaling a gradient and adding it to the parameters goes through memory once.

    Args:
        parts: tensors; complex ones count as pairs of real numbers.
        like: the parameters, where parts are not themselves sharded like them.

    Example:
        >>> import torch
        >>> g = Vector([torch.tensor([3.0]), torch.tensor([[4.0]])])
        >>> g.norm()
        5.0
        >>> g.mul_(1 / g.norm()).add_(g.clone(), 1.0).flat().tolist()
        [1.2000000476837158, 1.600000023841858]
    """

    def __init__(self, parts: Iterable[Tensor], like: Sequence[Tensor] | None = None) -> None:
        whole = list(parts)
        self._sharding = [_sharding(part) for part in (whole if like is None else like)]
        self._sharded = any(self._sharding)
        self._parts = [real_view(part) for part in whole]
        self._factor, self._addend, self._norm = 1.0, None, None

    # What stands for factor * parts + addend[1] * addend[0].
    _factor: float
    _addend: "tuple[Vector, float] | None"
    _norm: float | None  # of the parts without the rest

    def like(self, parts: Iterable[Tensor], sharding: list[Any] | None = None) -> Self:
        """Another vector over the same parameters, of tensors as ``parts`` has them (:func:`real_view`)."""
        other = object.__new__(type(self))
        other._sharding = self._sharding if sharding is None else sharding
        other._sharded, other._parts = self._sharded, list(parts)
        other._factor, other._addend, other._norm = 1.0, None, None
        return other

    @property
    def parts(self) -> list[Tensor]:
        """The tensors."""
        if self._factor != 1.0:
            for now in _in_steps(self._factor, _limit(self._parts)):
                if self._parts:
                    torch._foreach_mul_(self._parts, now)
            self._factor, self._norm = 1.0, None
        if self._addend is not None:
            (other, factor), self._addend, self._norm = self._addend, None, None
            self.add_(other, factor)
        return self._parts

    def in_wide_range(self) -> Self:
        """Itself, with copies as float32 in place of tensors of float16, which has few exponents."""
        if all(part.dtype != torch.float16 for part in self._parts):
            return self
        return self.like(part.float() if part.dtype == torch.float16 else part for part in self.parts)

    def fits(self, other: "Vector") -> bool:
        """Whether it can take the numbers of another one."""
        return len(self._parts) == len(other._parts) and all(
            a.shape == b.shape and a.dtype == b.dtype and a.device == b.device and a.stride() == b.stride()
            for a, b in zip(self._parts, other._parts, strict=True)
        )

    def clone(self) -> Self:
        """A copy that shares nothing."""
        other = self.like(part.clone() for part in self.parts)
        other._norm = self._norm
        return other

    def select(self, wanted: Sequence[bool]) -> Self:
        """Those of its tensors that are wanted, not copied."""
        if all(wanted):
            return self
        return self.like(
            [part for part, keep in zip(self.parts, wanted, strict=True) if keep],
            [each for each, keep in zip(self._sharding, wanted, strict=True) if keep],
        )

    def norm(self) -> float:
        """Euclidean; remembered until the tensors change."""
        self._settle()
        if self._norm is None:
            self._norm = self._computed_norm()
        return abs(self._factor) * self._norm

    def _computed_norm(self) -> float:
        if not self._parts:
            return 0.0
        norm = self._norm_added_up_in(_accumulator(self._parts))
        # Squares of float32 numbers below 1e-19 or above 1e19 are out of range.
        return norm if _SMALLEST_SQUARED < norm < math.inf else self._norm_added_up_in(torch.float64)

    def _norm_added_up_in(self, dtype: torch.dtype) -> float:
        norms = _in_one_place(torch._foreach_norm(self._parts, 2, dtype))
        if not self._sharded:
            return float(torch.linalg.vector_norm(norms))
        return math.sqrt(self._over_processes(norms.double() ** 2))

    def _settle(self) -> None:
        if self._addend is not None:
            _ = self.parts

    def is_finite(self) -> bool:
        """Whether all its numbers are; quicker than the norm, which tells it, too."""
        self._settle()
        if self._norm is None and self._parts and not self._sharded and _alike(self._parts):
            first = self._parts[0]
            found = torch.zeros((), dtype=torch.float32, device=first.device)  # no other type, whatever the default is
            one = torch.ones_like(found)
            torch._amp_foreach_non_finite_check_and_unscale_(self._parts, found, one)
            return not found.item()
        return math.isfinite(self.norm())

    def dot(self, other: "Vector") -> float:
        """Inner product."""
        if not self._parts:
            return 0.0
        self._settle()
        other._settle()
        total = self._dot_added_up_in(None, other)
        if not _SMALLEST_SQUARED**2 < abs(total) < math.inf:  # as for the norm
            total = self._dot_added_up_in(torch.float64, other)
        return self._factor * other._factor * total

    def _dot_added_up_in(self, dtype: torch.dtype | None, other: "Vector") -> float:
        products = _in_one_place([_dot(a, b, dtype) for a, b in zip(self._parts, other._parts, strict=True)])
        return float(products.sum()) if not self._sharded else self._over_processes(products.double())

    def _over_processes(self, values: Tensor) -> float:
        """The sum of one value for each tensor, each over the processes that hold other shards of it."""
        import torch.distributed as dist

        total = 0.0
        for groups in dict.fromkeys(self._sharding):  # in the order of all processes
            chosen = [i for i, each in enumerate(self._sharding) if each == groups]
            value = values[chosen].sum()
            for group in groups:
                dist.all_reduce(value, group=group)
            total += float(value)
        return total

    def mul_(self, factor: float | Sequence[float]) -> Self:
        """Times a number, or one for each tensor."""
        if isinstance(factor, int | float):
            self._factor *= factor
            if self._addend is not None:
                self._addend = self._addend[0], self._addend[1] * factor
        elif self._parts:
            limit = _limit(self.parts)
            for now in itertools.zip_longest(*(_in_steps(each, limit) for each in factor), fillvalue=1.0):
                torch._foreach_mul_(self.parts, now)
            self._norm = None
        return self

    def add_(self, other: "Vector", factor: float | Sequence[float] = 1.0) -> Self:
        """Plus another one times a number, or one for each tensor."""
        if not self._parts:
            return self
        limit = _limit(self._parts)
        if isinstance(factor, int | float):
            if not _is_one_step(factor * other._factor, limit):
                _ = other.parts  # its own factor is multiplied in
            if not _is_one_step(factor * other._factor, limit):
                other, factor = other.clone().mul_(factor), 1.0
                _ = other.parts
            torch._foreach_add_(self.parts, other._parts, alpha=factor * other._factor)
            if other._addend is not None:
                self.add_(other._addend[0], factor * other._addend[1])
        elif all(_is_one_step(each, limit) for each in factor):
            for part, shift, each in zip(self.parts, other.parts, factor, strict=True):
                part.add_(shift, alpha=each)
        else:
            self.add_(other.clone().mul_(factor))
        self._norm = None
        return self

    def times_(self, other: "Vector") -> Self:
        """Elementwise product with another one."""
        self._norm = None
        if self.parts:
            torch._foreach_mul_(self.parts, other.parts)
        return self

    def plus(self, other: "Vector", factor: float) -> Self:
        """As :meth:`add_`, but left open until the numbers are needed; another vector that this is added to takes both.

        The other one must not change in between.
        """
        self._settle()
        self._addend = other, factor
        return self

    def copy_(self, other: "Vector") -> Self:
        """The same numbers as another one, bit for bit."""
        if self._parts:
            torch._foreach_copy_(self._parts, other.parts)
        self._factor, self._addend, self._norm = 1.0, None, None
        return self

    def flat(self) -> Tensor:
        """A copy in one piece, shape ``(d,)``."""
        return torch.cat([part.detach().reshape(-1) for part in self.parts])

    def views(self, flat: Tensor) -> Self:
        """Another vector over the same parameters, given in one piece, which it shares."""
        return self.like(unflatten(flat, [part.shape for part in self._parts]))


def _accumulator(parts: Sequence[Tensor]) -> torch.dtype:
    """Wide enough to add up in: squares of float16 overflow at 256."""
    narrow = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
    dtype = parts[0].dtype
    for part in parts[1:]:
        if part.dtype != dtype:
            dtype = torch.promote_types(dtype, part.dtype)
    return narrow.get(dtype, dtype)


def _limit(parts: Sequence[Tensor]) -> float:
    """Of a factor at a time, and of its inverse: float32 ends at 3e38, float16 at 65504 and 6e-5."""
    return 2.0**14 if any(part.dtype == torch.float16 for part in parts) else 1e30


def _is_one_step(factor: float, limit: float) -> bool:
    return 1 / limit <= abs(factor) <= limit or factor == 0 or not math.isfinite(factor)


def _in_steps(factor: float, limit: float) -> Iterator[float]:
    """Factors that are in the range of the numbers that they multiply; their product is the given one."""
    while not _is_one_step(factor, limit):
        now = limit if abs(factor) > 1 else 1 / limit
        yield now
        factor /= now
    yield factor


def _alike(parts: Sequence[Tensor]) -> bool:
    first = parts[0]
    return first.dtype in (torch.float32, torch.float64) and all(
        part.dtype == first.dtype and part.device == first.device for part in parts
    )


def _dot(a: Tensor, b: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    if dtype is not None:
        a = a.to(dtype)
    elif a.dtype in (torch.float16, torch.bfloat16):
        a, b = a.float(), b.float()
    product: Tensor = torch.dot(a.reshape(-1), b.reshape(-1).to(a.dtype))
    return product


def _in_one_place(values: Sequence[Tensor]) -> Tensor:
    first = values[0]
    if any(value.device != first.device or value.dtype != first.dtype for value in values):
        return torch.stack([value.to(first.device, torch.float64) for value in values])
    return torch.stack(list(values))


def _sharding(tensor: Any) -> tuple[Any, ...]:
    """The groups of processes over which a tensor is split; none for an ordinary one."""
    if not hasattr(tensor, "device_mesh"):
        return ()  # one for all: thousands of new lists are work for the garbage collector
    mesh = tensor.device_mesh
    return tuple(mesh.get_group(axis) for axis, placement in enumerate(tensor.placements) if placement.is_shard())
