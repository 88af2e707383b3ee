"""The random numbers of a step, from the words that belong to a path and a step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..scheme import Increments
from ..seeds import checked_seed
from .philox import MASK, philox

__all__ = ["Draw", "Draws", "key_of"]

_MOST_STEPS_OF_BITS = 8  # of one group: ours; a kernel is unrolled over whole groups


def key_of(seed: int, device: torch.device) -> Tensor:
    """The key of a run: two 32-bit words. As a tensor, so that one compiled kernel serves all seeds.

    Raises:
        InputError: a seed that is not a whole number from 0 to 2^63 - 1.

    Example:
        >>> key_of(2**32 + 5, torch.device("cpu")).tolist()
        [5, 1]
    """
    seed = checked_seed(seed)
    return torch.tensor([seed & MASK, seed >> 32], device=device)


class Draw(NamedTuple):
    """Of one step: increments of variance 1, and signs; each a tensor of shape ``(n,)``."""

    increments: list[Tensor]
    signs: list[Tensor]


@dataclass(frozen=True)
class Draws:
    """What a scheme needs in every step, and how words are dealt out.

    Steps share words in groups of ``2^k`` consecutive steps, so that none is thrown away: the counter is (path, group,
    number of the block of four words).

    Args:
        increments: law of the increments.
        noise_dim: ``m``.
        signs: how many.
        dtype: of the numbers: with float64, uniform numbers have 53 random bits, with float32 32.
        substeps: a step's normal numbers are the normalised sums of those of so many steps without this, which drive a
            finer run.

    Example:
        >>> import torch
        >>> draws = Draws("normal", noise_dim=2, signs=0, dtype=torch.float32)
        >>> draws.group_steps
        2
        >>> steps = draws.group(key_of(0, torch.device("cpu")), torch.arange(3), torch.tensor(0))
        >>> len(steps), steps[0].increments[0].shape
        (2, torch.Size([3]))
    """

    increments: Increments
    noise_dim: int
    signs: int
    dtype: torch.dtype
    substeps: int = 1

    @property
    def _per_block(self) -> int:
        """Increments that one block of four words gives."""
        normal = 4 if self.dtype == torch.float32 else 2
        return {"normal": normal, "three-point": 4, "two-point": 128}[self.increments]

    @property
    def group_steps(self) -> int:
        """Steps that share blocks: a power of two."""
        return self._fine_groups * self._fine_steps // self.substeps

    @property
    def _fine_groups(self) -> int:
        """Groups of finer steps that make whole steps."""
        return math.lcm(self._fine_steps, self.substeps) // self._fine_steps

    @property
    def _fine_steps(self) -> int:
        if self.increments == "two-point":
            return 1 << int(math.log2(min(_MOST_STEPS_OF_BITS, max(1, 128 // max(1, self.noise_dim)))))
        return self._per_block // math.gcd(self.noise_dim, self._per_block)

    @property
    def blocks(self) -> int:
        """Blocks of four words that a group takes."""
        return self._fine_groups * self._fine_blocks

    @property
    def _fine_blocks(self) -> int:
        return self._increment_blocks + -(-self._fine_steps * self.signs // 128)

    @property
    def _increment_blocks(self) -> int:
        return -(-self._fine_steps * self.noise_dim // self._per_block)

    def group(self, key: Tensor, path: Tensor, group: Tensor) -> list[Draw]:
        """Draw the numbers of all steps of a group.

        Args:
            key: from :func:`key_of`.
            path: numbers of the paths, shape ``(n,)``.
            group: number of the group, without a shape: ``step // group_steps``.
        """
        return self._fine(key, path, group) if self.substeps == 1 else self._sums(key, path, group)

    def _sums(self, key: Tensor, path: Tensor, group: Tensor) -> list[Draw]:
        """In one tensor of all finer steps: as separate sums, compilation takes minutes."""
        numbers = group * self._fine_groups + torch.arange(self._fine_groups, device=path.device)[:, None, None]
        normals = torch.stack(self._normals(self._words(key, path, numbers, 0, self._increment_blocks)), 2)
        steps = normals.reshape(self.group_steps, self.substeps, self.noise_dim, -1)
        return [Draw(list(step), []) for step in (steps.sum(1) * self.substeps**-0.5).unbind(0)]

    def _fine(self, key: Tensor, path: Tensor, group: Tensor) -> list[Draw]:
        m, s, count = self.noise_dim, self.signs, self._fine_steps
        increments = self._increments(key, path, group, count * m)
        signs = self._bits(self._words(key, path, group, self._increment_blocks, self._fine_blocks), count * s)
        return [Draw(increments[i * m : (i + 1) * m], signs[i * s : (i + 1) * s]) for i in range(count)]

    def _increments(self, key: Tensor, path: Tensor, group: Tensor, count: int) -> list[Tensor]:
        words = self._words(key, path, group, 0, self._increment_blocks)
        if self.increments == "two-point":
            return self._bits(words, count)
        values = self._normals(words) if self.increments == "normal" else [self._three_point(word) for word in words]
        return [values[i % len(values)][i // len(values)] for i in range(count)]

    def _words(self, key: Tensor, path: Tensor, group: Tensor, first: int, end: int) -> tuple[Tensor, ...]:
        """The four words of each block, shapes ``(blocks, n)``."""
        block = torch.arange(first, end, device=path.device)[:, None]
        zero = torch.zeros_like(block * path)
        counter = (zero + (path & MASK), zero + ((path >> 32) & MASK), zero + group, zero + block)
        return philox(counter, (key[0], key[1]))

    def _bits(self, words: Sequence[Tensor], count: int) -> list[Tensor]:
        """Signs: ``+- 1``."""
        return [(((words[i // 32 % 4][i // 128] >> (i % 32)) & 1) * 2 - 1).to(self.dtype) for i in range(count)]

    def _three_point(self, word: Tensor) -> Tensor:
        """``+- sqrt(3)`` with probability 1/6 each, else 0, up to 2^-32."""
        sixth = (word * 6) >> 32
        return ((sixth == 0).to(self.dtype) - (sixth == 1).to(self.dtype)) * math.sqrt(3)

    def _uniform(self, words: Sequence[Tensor]) -> Tensor:
        """In (0, 1]: the midpoint of one of 2^32 or 2^53 equal intervals, rounded."""
        if len(words) == 1:
            return words[0].to(self.dtype) * 2.0**-32 + 2.0**-33
        return ((words[0] << 21) | (words[1] >> 11)).to(self.dtype) * 2.0**-53 + 2.0**-54

    def _normals(self, words: Sequence[Tensor]) -> list[Tensor]:
        """From each pair of uniform numbers two (Box and Muller 1958)."""
        size = 4 // self._per_block
        uniform = [self._uniform(words[i : i + size]) for i in range(0, 4, size)]
        result = []
        for u, v in zip(uniform[::2], uniform[1::2], strict=True):
            radius, angle = torch.sqrt(-2 * torch.log(u)), v * (2 * math.pi)
            result += [radius * torch.cos(angle), radius * torch.sin(angle)]
        return result
