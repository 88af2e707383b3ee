"""Another behaviour of somebody else's function, in the threads that ask for it and nowhere else."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["ThreadPatch"]


class ThreadPatch:
    """An attribute of a module or class that is replaced for a while.

    Several threads may be inside at the same time; one that is not gets what was there before.

    Args:
        owner: module or class.
        name: of a function or method of it, or of a class that is only called, or used for its ``apply``.
        replacement: takes the original one, then its arguments.

    Example:
        >>> import math
        >>> patch = ThreadPatch(math, "sqrt", lambda original, x: -original(x))
        >>> with patch.inside():
        ...     math.sqrt(4.0)
        -2.0
        >>> math.sqrt(4.0)
        2.0
    """

    def __init__(self, owner: Any, name: str, replacement: Callable[..., Any]) -> None:
        self.owner, self.name, self._replacement = owner, name, replacement
        self._lock, self._count, self._depth = threading.Lock(), 0, threading.local()
        self._original: Any = None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Replaced in this thread."""
        with self._lock:
            self._count += 1
            if self._count == 1:
                self._original = getattr(self.owner, self.name)
                setattr(self.owner, self.name, self._dispatcher(self._original))
        self._depth.value = getattr(self._depth, "value", 0) + 1
        try:
            yield
        finally:
            self._depth.value -= 1
            with self._lock:
                self._count -= 1
                if self._count == 0:
                    setattr(self.owner, self.name, self._original)

    def _dispatcher(self, original: Any) -> Any:
        def dispatch(*arguments: Any, **options: Any) -> Any:
            if getattr(self._depth, "value", 0):
                return self._replacement(original, *arguments, **options)
            return called(*arguments, **options)

        called = original.apply if hasattr(original, "apply") else original
        if hasattr(original, "apply"):
            return type(original.__name__, (), {"apply": staticmethod(dispatch)})
        return dispatch
