"""The memory of lambda_1 on 10^7 parameters: ResNet-18 on a batch of 128 images of 32 x 32 pixels, in train mode.

Claims: a Hessian product needs at most three times what a gradient needs; the top eigenvalue stays within 8 GiB. Each
task runs in its own process; what it needs is its peak resident memory above that of the process with network and data.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from eigensam.ground import provenance, write_json
from eigensam.landscapes import Hessian, NetworkFunction, build_model, lanczos, random_vector

TASKS = ("nothing", "gradient", "product", "product, graph kept", "lambda_1")


def peak() -> float:
    """Peak resident memory of this process in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def run(task: str) -> None:
    """One task; prints its peak, CPU seconds, and what it found."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build_model("resnet18", (3, 32, 32), 10)
    inputs, targets = torch.randn(128, 3, 32, 32), torch.randint(10, (128,))
    network = NetworkFunction(model, cross_entropy, mode="train")
    v = random_vector(network.dim, 0, network.dtype, "cpu")

    def gradient() -> str:
        model.train()
        torch.autograd.grad(cross_entropy(model(inputs), targets), list(model.parameters()))
        return ""

    def product(**options: Any) -> str:
        operator = Hessian(network, [(inputs, targets)], **options)
        operator @ v
        return operator.used

    def top() -> str:
        operator = Hessian(network, [(inputs, targets)])
        pairs = lanczos(operator, max_products=10)
        found = f"{float(pairs.values[0]):.4g} +- {float(pairs.residuals[0]):.2g}"
        return f"lambda_1 = {found}, {pairs.products} products, converged {pairs.converged}, by {operator.used}"

    tasks: dict[str, Callable[[], str]] = dict(
        zip(TASKS, (str, gradient, lambda: product(graph_bytes=0), lambda: product(method="graph"), top), strict=True)
    )
    start = process_time()
    said = tasks[task]()
    print(f"{peak():.0f}\t{process_time() - start:.1f}\t{said}")


def main() -> None:
    """Run all tasks, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--task", choices=TASKS, help="run one of them here")
    arguments = parser.parse_args()
    if arguments.task:
        run(arguments.task)
        return
    result: dict[str, Any] = {"threads": 1, "made": provenance()}
    for task in TASKS:
        line = subprocess.run(
            [sys.executable, __file__, "--task", task], capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]
        memory, seconds, said = line.split("\t")
        result[task] = {"MiB": float(memory), "cpu_seconds": float(seconds), "said": said}
        above = float(memory) - result["nothing"]["MiB"]
        print(f"{task:20} {float(memory):6.0f} MiB, {above:6.0f} above the process; {seconds} s; {said}", flush=True)
    if arguments.json:
        write_json(arguments.json, result)


if __name__ == "__main__":
    main()
