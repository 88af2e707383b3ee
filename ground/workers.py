"""Processes that compute with one thread each, so that a number does not depend on how many there are."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from .errors import InputError

__all__ = ["in_workers", "one_thread"]

_SECONDS = 0.5  # between two looks at whether the parent lives


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, torch computes with one thread: sums are added in the same order on every machine.

    Example:
        >>> import torch
        >>> with one_thread():
        ...     torch.get_num_threads()
        1
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_workers(
    function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], jobs: int, *, ordered: bool = True
) -> Iterator[Any]:
    """``function(*task)`` of each task, in ``jobs`` processes with one thread each; in this one if there is one job.

    The processes end within a second when this one does, also if it is killed.

    Args:
        function: of a module, so that another process finds it.
        tasks: its arguments.
        jobs: number of processes.
        ordered: yield results in the order of the tasks, else as they come.

    Raises:
        InputError: a process was killed, by whoever needed its memory.

    Example:
        >>> list(in_workers(pow, [(2, 3), (3, 2)], jobs=1))
        [8, 9]
    """
    if jobs == 1:
        for task in tasks:
            with one_thread():
                result = function(*task)
            yield result
        return
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", inner_max_num_threads=1):
        parallel = Parallel(n_jobs=jobs, return_as="generator" if ordered else "generator_unordered")
        results = parallel(delayed(_work)(os.getpid(), function, task) for task in tasks)
    try:
        yield from results
    except BrokenProcessPool:
        raise InputError(
            f"one of {jobs} processes was killed, most often because memory ran out; run fewer at a time (--jobs) and "
            "repeat the command: what is finished is kept"
        ) from None


def _work(parent: int, function: Callable[..., Any], task: tuple[Any, ...]) -> Any:
    import torch

    _end_with(parent)
    torch.set_num_threads(1)
    return function(*task)


def _end_with(parent: int) -> None:
    """End this process soon after its parent, whose death it would notice after minutes only.

    Orphans get another parent: looking at its number works on every Unix, and a parent that died before the first look
    is noticed, too.
    """
    if _watched.is_set():  # a process serves many tasks
        return
    _watched.set()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_watched = threading.Event()
