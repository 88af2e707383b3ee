"""Ensembles of SDEs in less time than drawing their random numbers takes: ours beside five others.

Claims, as ratios to ``torch.Tensor.normal_`` of as many numbers of the same type: 2-D, SAM-like drift, full diffusion,
float32, 10^5 and 10^6 paths, of a user's function and of a derived SDE, at most 0.80; 10^3 paths 1.35; float64 0.40 of
float64; two-point increments 0.45; a function with a 10 x 10 matrix 2.0. At 10^5 paths at least 12 times faster than
torchsde as it comes, 14 times than diffrax with its fast Brownian path. First call 20 s, from the disk's cache 4 s.
Peak memory grows by at most two states between 10^7 and 3 10^7 paths.

One thread on one core, processor time, medians [quartiles] of interleaved repeats; first calls are measured apart, in
new processes. All take steps of one length by Euler's scheme, slow ones fewer of them; before anyone is timed, its
moments after 128 steps agree with those of numpy, or the run ends. On a GPU, where this has not run yet, the unit is
the floor there, in time until it has finished, with shares of the copy bandwidth and the integer throughput measured.
"""

import argparse
import random
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from eigensam.benchmarks.paths import device_limits, processes, report, timing
from eigensam.benchmarks.paths.cases import Case, cases
from eigensam.benchmarks.paths.check import check, refusals
from eigensam.benchmarks.paths.contestants import CONTESTANTS
from eigensam.ground import provenance, read_json, write_json

PEERS = ("torch", "torchsde", "jax", "jaxlib", "diffrax", "numpy")
SLOW = {"eager": 5, "torchsde": 5, "torchsde-fast": 5, "diffrax-unsafe": 5, "diffrax-tree": 3}
"""Rounds in which they take part."""


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Quartiles of ratios to the floor and to ours, each of the same round."""
    torch._dynamo.reset()  # the tasks of one contestant share code, of which torch keeps few versions
    task = case.task
    per_step = task.paths * task.example.noise_dim
    timed: timing.Timed = {timing.FLOOR: timing.floor(task.dtype, task.device, case.steps * per_step)}
    for name, steps in case.contestants().items():
        timed[name] = partial(CONTESTANTS[name].make(task), steps), steps * per_step
    rounds = timing.rounds(timed, repeats, SLOW, task.device)
    found = list(track(rounds, "  timing", total=repeats, transient=True))
    ours = timing.ratios(found, "ours")
    floor = timing.quartiles([each[timing.FLOOR] for each in found])[1]
    return {
        "title": task.example.title,
        "paths": task.paths,
        "dtype": task.dtype,
        "increments": task.increments,
        "numbers_per_step": task.example.noise_dim,
        "steps": case.contestants(),
        "limit": case.limit,
        "in_floors": {name: timing.quartiles(values) for name, values in timing.ratios(found).items()},
        "in_ours": {name: timing.quartiles(values) for name, values in ours.items()},
        "floor_seconds_per_number": floor,
    }


def run_case(case: Case, repeats: int, checked_paths: int) -> dict[str, Any]:
    """Check, then measure, then print."""
    deviations = check(case.task, track(case.contestants(), "  checking", transient=True), checked_paths)
    result = measure(case, repeats)
    for name, (low, median, high) in sorted(result["in_floors"].items(), key=lambda item: item[1][1]):
        if name != timing.FLOOR:
            note = f"at most {case.limit} claimed" if name == "ours" else ""
            print(f"  {CONTESTANTS[name].title:42} {median:7.2f} [{low:.2f}, {high:.2f}] floors  {note}", flush=True)
    return {**result, "deviations": deviations}


def on_gpu(result: dict[str, Any], found: dict[str, Case]) -> dict[str, Any]:
    """Shares of what the device can do."""
    limits = device_limits.device_limits()
    table = {}
    for name, case in found.items():
        measured = result["cases"][name]
        seconds = measured["in_floors"]["ours"][1] * measured["floor_seconds_per_number"]
        table[name] = device_limits.shares(case.task, 1 / (seconds * case.task.example.noise_dim), limits)
        print(f"{name:24} " + ", ".join(f"{key} {value:.3g}" for key, value in table[name].items()))
    return {"device": torch.cuda.get_device_name(), "limits": limits, "shares": table}


def run(device: str, quick: bool, repeats: int, only: str) -> dict[str, Any]:
    """All that is measured."""
    chosen = {name: case for name, case in cases(device, 100 if quick else 1).items() if only in name}
    if quick and not only:
        chosen = {name: chosen[name] for name in ("10³ paths", "two-point increments")}
    result: dict[str, Any] = {
        "device": device,
        "threads": 1,
        "repeats": repeats,
        "versions": {peer: version(peer) for peer in PEERS},
        "made": provenance(),
        "refused": {} if quick else refusals(),
        "titles": {name: who.title for name, who in CONTESTANTS.items()},
        "cases": {},
    }
    for name, case in chosen.items():
        print(f"{name}: {case.task.example.title}", flush=True)
        result["cases"][name] = run_case(case, repeats, 2**12 if quick else 2**16)
    if device == "cuda":
        result["gpu"] = on_gpu(result, chosen)
    elif not only:
        print("first calls and memory, in new processes", flush=True)
        paths = {"ours": 10**5, "small": 100, "vmap": 10**5, "scan": 10**5}
        result["first_call_seconds"] = calls = processes.first_calls(paths, 512, 1 if quick else 3)
        for name, states in calls.items():
            print(f"  first call, {name}: cold {states['cold'][1]:.1f} s, warm {states['warm'][1]:.1f} s", flush=True)
        few = {"ours": 10**5 if quick else 10**7, "eager": 10**6, "scan": 10**6}
        result["memory_states"] = {name: processes.memory_growth(name, n, 3 * n, 16) for name, n in few.items()}
        for name, grown in result["memory_states"].items():
            print(f"  peak memory grows by {grown:.2f} states, {name}", flush=True)
    return result


def main() -> None:
    """Measure, print, write JSON, picture and table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the paths: whether the script works")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--result", type=Path, help="draw from this JSON file, measure nothing")
    parser.add_argument("--picture", type=Path, help="stem of picture files")
    parser.add_argument("--page", type=Path, help="page whose table is replaced")
    arguments = parser.parse_args()
    if arguments.result:
        result = read_json(arguments.result)
    else:
        random.seed(0)
        with timing.one_core():
            result = run(arguments.device, arguments.quick, arguments.repeats, arguments.only)
    if arguments.json:
        write_json(arguments.json, result)
    if arguments.picture:
        report.save_picture(result, arguments.picture)
    if arguments.page:
        report.replace_table(result, arguments.page)


if __name__ == "__main__":
    main()
