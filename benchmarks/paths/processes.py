"""What only a new process can show: the first call, with and without a cache on disk, and the peak of memory."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from .contest import Task
from .contestants import CONTESTANTS
from .examples import EXAMPLES
from .ours import as_it_comes
from .timing import quartiles

__all__ = ["first_calls", "memory_growth", "peak_memory", "time_first_call"]


def time_first_call(name: str, paths: int, steps: int) -> float:
    """Wall seconds of the first call in this process, after the imports; "small" is ours, with its own choice."""
    make = as_it_comes if name == "small" else CONTESTANTS[name].make
    run = make(Task(EXAMPLES["sam"], paths))
    start = perf_counter()
    run(steps, 0)
    return perf_counter() - start


def peak_memory(name: str, paths: int, steps: int) -> int:
    """Bytes of this process at the peak of its second call, since compiling may take more; by Linux' VmHWM."""
    run = CONTESTANTS[name].make(Task(EXAMPLES["sam"], paths))
    run(steps, 0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    run(steps, 1)
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def _in_new_process(function: str, *arguments: Any, cache: str) -> float:
    code = (
        "import json, sys, torch; torch.set_num_threads(1);"
        "from eigensam.benchmarks.paths import processes;"
        f"print(json.dumps(processes.{function}(*json.loads(sys.argv[1]))))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": cache}
    found = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)], capture_output=True, text=True, check=True, env=environment
    )
    return float(json.loads(found.stdout.splitlines()[-1]))


def first_calls(paths: dict[str, int], steps: int, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Wall seconds [quartiles] of first calls, by name: "cold", with an empty folder of compiled code, then "warm"."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, count in paths.items():
        samples: dict[str, list[float]] = {"cold": [], "warm": []}
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                for seconds in samples.values():
                    seconds.append(_in_new_process("time_first_call", name, count, steps, cache=cache))
        found[name] = {state: quartiles(seconds) for state, seconds in samples.items()}
    return found


def memory_growth(name: str, few: int, many: int, steps: int) -> float:
    """Growth of the peak between two numbers of paths, in states of the paths that were added."""
    with tempfile.TemporaryDirectory() as cache:
        low, high = (_in_new_process("peak_memory", name, paths, steps, cache=cache) for paths in (few, many))
    state = len(EXAMPLES["sam"].x0) * np.dtype(np.float32).itemsize
    return (high - low) / ((many - few) * state)
