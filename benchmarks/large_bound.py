"""Theorem 4.1 at a ResNet-18 with 512 examples: each part's time in gradients of the same loss, and the peak memory.

    python benchmarks/large_bound.py --data-root DIR [--run FOLDER] [--json FILE]

Without ``--run`` a network is trained first, for two epochs on 512 examples of CIFAR-10.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from eigensam.bounds import BoundedCrossEntropy, Theorem41
from eigensam.ground.records import provenance, write_json
from eigensam.landscapes import NetworkLandscape, Run, load_data
from eigensam.landscapes.runs.data_set import converted
from eigensam.optim import TrainSettings, train

THEOREM = Theorem41(
    single=True,
    max_products=6,
    top=1,
    probes=2,
    random_directions=1,
    ascents=0,
    derivative_examples=16,
    draws=5,
    gradients=2,
)
TRAINING = TrainSettings("sgd", model="resnet18", data="cifar10", subset=512, batch_size=32, lr=0.01, epochs=2)


def gradient_seconds(run: Run, data: Any) -> float:
    """One gradient of the bounded loss on all examples, the second one."""
    model = run.network()
    f = NetworkLandscape.from_tensors(
        model,
        BoundedCrossEntropy(),
        converted(data.train_inputs, torch.float32),
        data.train_targets,
        chunk_size=64,
    )
    for _ in range(2):
        begin = time.perf_counter()
        f.gradient(f.point())
        seconds = time.perf_counter() - begin
    return seconds


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    folder = given.run
    if folder is None:
        folder = Path(tempfile.mkdtemp()) / "run"
        train(TRAINING, load_data("cifar10", given.data_root), folder)
    run = Run(folder)
    data = run.data(given.data_root)
    parts: dict[str, float] = {}
    last: list[Any] = ["opening", time.perf_counter()]

    def progress(what: str) -> None:
        now = time.perf_counter()
        parts[last[0]] = parts.get(last[0], 0.0) + now - last[1]
        last[:] = [what.partition(":")[0], now]

    begin = time.perf_counter()
    bound = THEOREM.bound(run, data, progress=progress)
    total = time.perf_counter() - begin
    progress("end")
    unit = gradient_seconds(run, data)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    for name, seconds in parts.items():
        print(f"{name:40} {seconds / unit:6.1f} gradients")
    print(f"all: {total / unit:.1f} gradients, {memory:.1f} GiB")
    print(f"{total / 60:.1f} minutes with {torch.get_num_threads()} threads")
    print(bound)
    if given.json:
        result = {"gradients": {name: seconds / unit for name, seconds in parts.items()}, "minutes": total / 60}
        write_json(given.json, {**result, "gib": memory, "bound": bound.bound, "made_with": provenance()})


if __name__ == "__main__":
    main()
