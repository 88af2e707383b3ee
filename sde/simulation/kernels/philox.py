"""Philox4x32-10, a counter-based generator of random words, as integer operations on tensors.

What number a path gets in a step is a function of both alone: no state, no order in which numbers are drawn. Written in
plain operations, it is compiled into the kernel that uses the numbers, on every device.
"""

from typing import TypeVar

import torch

__all__ = ["MASK", "philox"]

MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)

Word = TypeVar("Word", torch.Tensor, int)


def philox(counter: tuple[Word, Word, Word, Word], key: tuple[Word, Word]) -> tuple[Word, Word, Word, Word]:
    """Four random 32-bit words for a counter of four words.

    Args:
        counter: numbers from 0 to ``2^32 - 1``: integers, or 64-bit integer tensors that broadcast.
        key: two such numbers; another key gives an independent stream.

    Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", with ten rounds.

    Example:
        The published known answer for a counter and a key of zeros:

        >>> [f"{word:08x}" for word in philox((0, 0, 0, 0), (0, 0))]
        ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        # 64-bit products wrap around in two's complement: the mask keeps the upper word's bits right.
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = ((p1 >> 32) & MASK) ^ c1 ^ k0, p1 & MASK, ((p0 >> 32) & MASK) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + _WEYL[0]) & MASK, (k1 + _WEYL[1]) & MASK
    return c0, c1, c2, c3
