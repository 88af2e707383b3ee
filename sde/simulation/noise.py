"""Standard normal numbers that belong to a path, whoever draws them, when, and together with which others."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from .seeds import checked_seed

__all__ = ["PathNoise"]

_WORDS = 4  # 64-bit numbers per value of the counter


class PathNoise:
    """Path ``i`` owns the numbers from counter ``i * width`` on of one keyed, counter-based generator (Philox 4x64).

    So path 7 has the same noise in a run of ten paths and of a million, drawn alone or in a chunk, in any process.

    Args:
        seed: of the run.
        stream: independent runs with one seed: 0, 1, ...
        width: normal numbers per path.

    Raises:
        InputError: a seed that is not a number from 0 to 2^63 - 1.

    Example:
        >>> from eigensam.sde.simulation.noise import PathNoise
        >>> noise = PathNoise(seed=0, stream=0, width=5)
        >>> bool((noise.draw(2, 3)[1] == noise.draw(3, 1)[0]).all())
        True
    """

    def __init__(self, seed: int, stream: int, width: int) -> None:
        self._key = np.array([checked_seed(seed), stream], dtype=np.uint64)
        self.width = width
        self._counters = -(-width // _WORDS)

    def draw(self, first: int, count: int) -> NDArray[np.float64]:
        """Paths ``first .. first + count - 1``, shape ``(count, width)``."""
        generator = np.random.Philox(counter=first * self._counters, key=self._key)
        words = generator.random_raw(count * self._counters * _WORDS).reshape(count, -1)[:, : self.width]
        uniform = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54  # in (0, 1), never an end
        result: NDArray[np.float64] = ndtri(uniform)
        return result
