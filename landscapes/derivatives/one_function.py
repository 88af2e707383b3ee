"""The passes of one optimizer step must see one function: the same random numbers, the same buffers, moved once."""

import ctypes
import pickle
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from .live_buffers import BufferValues

__all__ = ["OneFunction", "RandomState"]


class _WatchedGenerator:
    """A global generator whose state is asked for only if it has moved since the last time.

    Asking takes as long as a small network's layer, and making the state's thousand numbers drives other things out of
    the cache. The generator's memory shows whether it has moved.
    """

    def __init__(self, words: Callable[[], Any], get: Callable[[], Any], put: Callable[[Any], None]) -> None:
        self._words, self._get, self._put = words, get, put
        self._seen: Any = None
        self._state: Any = None

    def get(self) -> Any:
        """Its state; the same object if it has not moved."""
        words = self._words()
        # Numpy's words do not show whether a normal number is in reserve.
        if words is None or words != self._seen or (type(self._state) is dict and self._state["has_gauss"]):
            self._seen, self._state = words, self._get()
        return self._state

    def put(self, state: Any) -> None:
        """Back to a state."""
        if self.get() is not state:
            self._put(state)
            self._seen, self._state = self._words(), state

    def is_at(self, state: Any) -> bool:
        """Whether that is its state."""
        now = self.get()
        return now is state or pickle.dumps(now) == pickle.dumps(state)


def _python_words() -> Any:
    """The Mersenne twister's index and words, and the normal number in reserve."""
    generator: Any = random._inst
    return ctypes.string_at(id(generator) + object.__basicsize__, 625 * 4), generator.gauss_next


def _numpy_words() -> Any:
    """Words and position; None for another generator than numpy's own, which counts as moved always."""
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    if type(generator) is not np.random.MT19937:
        return None
    return ctypes.string_at(generator.ctypes.state_address, 625 * 4)


def _shows_its_words() -> bool:
    """Whether Python's generator lies in memory as this interpreter's source says; it is looked at, not trusted."""
    kind = type(random._inst).__mro__[-2]
    if sys.implementation.name != "cpython" or kind.__basicsize__ < object.__basicsize__ + 625 * 4:
        return False
    words = np.frombuffer(_python_words()[0], dtype=np.uint32)
    state = random.getstate()[1]
    return [*words[1:].tolist(), int(words[0])] == list(state)


_PYTHON = _WatchedGenerator(_python_words if _shows_its_words() else lambda: None, random.getstate, random.setstate)
_NUMPY = _WatchedGenerator(
    _numpy_words,
    lambda: np.random.get_state(legacy=False),  # noqa: NPY002 (who uses it)
    np.random.set_state,
)


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
        self._python, self._numpy = _PYTHON.get(), _NUMPY.get()
        self._cpu = torch.get_rng_state()
        self._others = [(d, torch.get_device_module(d).get_rng_state(d)) for d in devices if d.type != "cpu"]

    def moved(self) -> bool:
        """Whether numbers have been drawn since."""
        return (
            not _PYTHON.is_at(self._python)
            or not _NUMPY.is_at(self._numpy)
            or not torch.equal(torch.get_rng_state(), self._cpu)
            or any(not torch.equal(torch.get_device_module(d).get_rng_state(d), state) for d, state in self._others)
        )

    def restore(self) -> None:
        """Make the next pass draw the random numbers that the first one drew."""
        _PYTHON.put(self._python)
        _NUMPY.put(self._numpy)
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
