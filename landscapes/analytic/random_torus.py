"""Random coefficients of a tilted torus on which no gradient vanishes."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...ground.errors import InputError

__all__ = ["random_coefficients"]

_RIPPLE = 0.5  # ours: of a minibatch's tilt; its gradient keeps at least the other half
_SPREAD = 0.6  # ours: of a tilt's direction, so that it lies within arcsin 0.6 of the common one
_MOST_FREQUENCIES = 2**61  # their numbers fit an int64


def random_coefficients(
    dim: int, size: int, terms: int, highest_frequency: int, seed: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tilts, frequencies, amplitudes and phases; arguments, properties and errors as of :meth:`TiltedTorus.random`.

    Example:
        >>> tilts, frequencies, amplitudes, phases = random_coefficients(1, 3, 2, 2, seed=0)
        >>> sorted(frequencies.flatten().tolist())
        [1, 2]
    """
    available = _frequency_count(dim, size, terms, highest_frequency, seed)
    generator = np.random.default_rng(seed)

    # Written in base 2 h + 1, the digits of a number are a frequency's entries plus h; the number in the middle is the
    # frequency 0, and opposite ones mirror at it: the upper half holds one of each pair.
    values = 2 * highest_frequency + 1
    numbers = available + 1 + generator.choice(available, size=terms, replace=False)
    frequencies = numbers[:, None] // values ** np.arange(dim) % values - highest_frequency

    directions = _unit_vectors(generator, 1, dim) + _SPREAD * _unit_vectors(generator, size, dim)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = generator.uniform(1, 2, (size, 1))
    amplitudes = generator.uniform(0.2, 1, (size, terms)) * generator.choice([-1, 1], (size, terms))
    ripples = np.abs(amplitudes) @ np.linalg.norm(frequencies, axis=1)
    amplitudes *= _RIPPLE * lengths / ripples[:, None]
    phases = generator.uniform(0, 2 * np.pi, (size, terms))
    return (
        torch.from_numpy(lengths * directions),
        torch.from_numpy(frequencies),
        torch.from_numpy(amplitudes),
        torch.from_numpy(phases),
    )


def _unit_vectors(generator: np.random.Generator, count: int, dim: int) -> NDArray[np.float64]:
    vectors = generator.standard_normal((count, dim))
    result: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


def _frequency_count(dim: int, size: int, terms: int, highest_frequency: int, seed: int) -> int:
    """How many pairs of opposite frequencies there are; refuses arguments that cannot be met."""
    counts = {"dim": dim, "size": size, "terms": terms, "highest_frequency": highest_frequency}
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name} = {value!r}; give an integer of at least 1")
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed = {seed!r}; give an integer of at least 0")
    # The first comparison keeps the power of the second small.
    if dim > _MOST_FREQUENCIES.bit_length() or (2 * highest_frequency + 1) ** dim > _MOST_FREQUENCIES:
        raise InputError(
            f"dimension {dim} has too many frequencies up to {highest_frequency} to draw from; "
            f"lower dim or highest_frequency"
        )
    available: int = ((2 * highest_frequency + 1) ** dim - 1) // 2
    if terms > available:
        raise InputError(
            f"terms = {terms}, but dimension {dim} has only {available} frequencies up to {highest_frequency} that are "
            f"not 0 or opposite; lower terms or raise highest_frequency"
        )
    return available
