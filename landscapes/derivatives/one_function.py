"""The passes of one optimizer step must see one function: the same random numbers, the same buffers, moved once."""

import ctypes
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from .live_buffers import BufferValues

__all__ = ["OneFunction", "RandomState"]


class _NumpyState:
    """Numpy's global generator, looked at cheaply: asking for its state takes longer than a pass of a small network.

    The state is asked for only if the generator's words are others than at the last time, or it holds a normal number
    in reserve, which the words do not show.
    """

    words: bytes = b""
    state: Any = None

    @classmethod
    def get(cls) -> Any:
        words = cls._words()
        if not words or words != cls.words or cls.state[3]:
            cls.words, cls.state = words, np.random.get_state()  # noqa: NPY002 (who uses it)
        return cls.state

    @classmethod
    def restore(cls, state: Any) -> None:
        words = cls._words()
        if not words or words != cls.words or state is not cls.state or state[3]:
            np.random.set_state(state)  # noqa: NPY002

    @staticmethod
    def _words() -> bytes:
        generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
        if type(generator) is not np.random.MT19937:
            return b""
        return ctypes.string_at(generator.ctypes.state_address, 625 * 4)


class RandomState:
    """The global random generators as they were at construction; ``restore`` replays them for another pass.

    Those of Python, numpy and torch. A generator of a closure's own nobody can know.

    Args:
        devices: whose generators, besides the CPU's.

    Example:
        >>> import torch
        >>> before = RandomState([])
        >>> first = torch.rand(3)
        >>> before.restore()
        >>> torch.equal(torch.rand(3), first)
        True
    """

    def __init__(self, devices: Iterable[torch.device]) -> None:
        self._python, self._numpy = random.getstate(), _NumpyState.get()
        self._cpu = torch.get_rng_state()
        self._others = [(d, torch.get_device_module(d).get_rng_state(d)) for d in devices if d.type != "cpu"]

    def moved(self) -> bool:
        """Whether numbers have been drawn since."""
        return (
            random.getstate() != self._python
            or _NumpyState.get() is not self._numpy
            or not torch.equal(torch.get_rng_state(), self._cpu)
            or any(not torch.equal(torch.get_device_module(d).get_rng_state(d), state) for d, state in self._others)
        )

    def restore(self) -> None:
        """Make the next pass draw the random numbers that the first one drew."""
        random.setstate(self._python)
        _NumpyState.restore(self._numpy)
        torch.set_rng_state(self._cpu)
        for device, state in self._others:
            torch.get_device_module(device).set_rng_state(state, device)


class OneFunction:
    """Whatever is evaluated :meth:`again` sees random numbers and buffers as they were at construction.

    Example:
        >>> import torch
        >>> from eigensam.landscapes.derivatives.live_buffers import find_buffers
        >>> layer = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5))
        >>> find_buffers()
        >>> x = torch.randn(8, 3)
        >>> function = OneFunction([])
        >>> y = layer(x)
        >>> with function.again():
        ...     print(torch.equal(layer(x), y))
        True
        >>> layer[0].num_batches_tracked.item()
        1
    """

    def __init__(self, devices: Iterable[torch.device]) -> None:
        self._random, self._buffers = RandomState(devices), BufferValues()

    @contextmanager
    def again(self) -> Iterator[None]:
        """Buffers are put back at the end; the random generators stay where the evaluation leaves them."""
        self._random.restore()
        with self._buffers.standing_in():
            yield

    def moved(self) -> bool:
        """Whether random numbers have been drawn since construction, or the last evaluation's start."""
        return self._random.moved()

    def rewind(self) -> None:
        """The next evaluation is the first one, which moves the buffers."""
        self._random.restore()
