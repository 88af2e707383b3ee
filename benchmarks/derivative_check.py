"""What the check of derivatives costs: in gradients of 32 examples, and in the top eigenvalue that it goes before.

Claims: the check of a Hessian costs at most 3 gradients of 32 examples, together with that of the third derivative at
most 8, both in float64, in which it is made; once. `lambda_1` of the trained `mlp` is not slower by more than 3 %, and
an ordinary refresh of Eigen-SAM not at all.

CPU time, one thread, interleaved repeats, medians.
"""

import argparse
import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.models import resnet18

from eigensam.ground import provenance, write_json
from eigensam.landscapes import (
    ClosureCheck,
    ClosureHessian,
    Hessian,
    NetworkFunction,
    build_model,
    lanczos,
    load_data,
    unflatten,
)
from eigensam.landscapes.networks.route_check import RouteCheck
from eigensam.landscapes.networks.routes import take_route
from eigensam.optim import TrainSettings, train

Batch = tuple[Tensor, Tensor]
Task = Callable[[], object]


def interleaved(tasks: dict[str, Task], repeats: int) -> dict[str, list[float]]:
    """CPU seconds of every task, in random order, after one warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    order = list(tasks)
    for repeat in range(-1, repeats):
        random.shuffle(order)
        for name in order:
            start = process_time()
            tasks[name]()
            if repeat >= 0:
                seconds[name].append(process_time() - start)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, to: str) -> dict[str, float]:
    """Quartiles of the ratio of two tasks, repeat by repeat."""
    values = np.array(seconds[name]) / np.array(seconds[to])
    return dict(zip(("lower", "median", "upper"), np.quantile(values, (0.25, 0.5, 0.75)).tolist(), strict=True))


def check_costs(model: nn.Module, batch: Batch, repeats: int) -> dict[str, dict[str, float]]:
    """The check of a route to each order, in gradients of 32 examples, in float64 and in the network's own type."""
    network = NetworkFunction(model, cross_entropy)
    exact, x = network.in_double(), network.point()
    few = batch[0][:32], batch[1][:32]

    def check(order: int) -> None:
        fresh = RouteCheck(network)
        for k in range(1, order + 1):  # the third derivative is compared with products that have been checked
            fresh.admit("reverse" if k == 1 else "taylor", k, x, batch)

    tasks: dict[str, Task] = {
        "gradient, float64": lambda: take_route("reverse", exact, x.double(), [(1.0, ())], few),
        "gradient": lambda: take_route("reverse", network, x, [(1.0, ())], few),
        "check of the Hessian": lambda: check(1),
        "check of both": lambda: check(2),
    }
    seconds = interleaved(tasks, repeats)
    return {
        f"{name} / {unit}": ratio(seconds, name, unit)
        for name in ("check of the Hessian", "check of both")
        for unit in ("gradient, float64", "gradient")
    }


def eigenvalue_costs(model: nn.Module, batch: Batch, repeats: int) -> dict[str, dict[str, float]]:
    """``lambda_1`` with and without the check, from the same starts."""
    network = NetworkFunction(model, cross_entropy)
    seeds = {True: iter(range(10**6)), False: iter(range(10**6))}

    def solve(check: bool) -> None:
        lanczos(Hessian(network, [batch], check=check), seed=next(seeds[check]))

    seconds = interleaved({"with": lambda: solve(True), "without": lambda: solve(False)}, repeats)
    return {"lambda_1 with / without the check": ratio(seconds, "with", "without")}


def refresh_costs(model: nn.Module, batch: Batch, repeats: int) -> dict[str, dict[str, float]]:
    """Five products of a closure's Hessian: the first refresh, an ordinary one, and two plain reverse passes each."""
    x, y = batch[0][:64], batch[1][:64]
    parameters = list(model.parameters())
    v = torch.randn(sum(p.numel() for p in parameters))
    known = ClosureCheck()

    def closure() -> Tensor:
        return cross_entropy(model(x), y)

    def refresh(check: ClosureCheck) -> None:
        operator = ClosureHessian(closure, parameters, check)
        for _ in range(5):
            operator @ v

    def plain() -> None:
        gradient = torch.autograd.grad(closure(), parameters, create_graph=True)
        parts = unflatten(v, [p.shape for p in parameters])
        for _ in range(5):
            slope = sum((g * part).sum() for g, part in zip(gradient, parts, strict=True))
            torch.cat([h.flatten() for h in torch.autograd.grad(slope, parameters, retain_graph=True)])  # type: ignore[arg-type]

    refresh(known)
    tasks: dict[str, Task] = {
        "first refresh": lambda: refresh(ClosureCheck()),
        "ordinary refresh": lambda: refresh(known),
        "as it was": plain,
    }
    seconds = interleaved(tasks, repeats)
    return {f"{name} / as it was": ratio(seconds, name, "as it was") for name in ("first refresh", "ordinary refresh")}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=40, help="of the mlp; a tenth of it for the deep networks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here too")
    arguments = parser.parse_args()

    random.seed(0)
    torch.set_num_threads(1)
    data = load_data("digits")
    batch = data.train_inputs, data.train_targets
    results: dict[str, dict[str, dict[str, float]]] = {}
    with threadpool_limits(1), TemporaryDirectory() as folder:
        run = train(TrainSettings("sgd"), data, Path(folder) / "run")
        model = run.network()
        results["mlp"] = (
            check_costs(model, batch, arguments.repeats)
            | eigenvalue_costs(model, batch, arguments.repeats)
            | refresh_costs(model, batch, arguments.repeats)
        )
        images = torch.randn(32, 3, 32, 32), torch.arange(32) % 10
        for name, deep in (
            ("cnn6", build_model("cnn6", (3, 32, 32), 10)),
            ("resnet18", resnet18(num_classes=10)),
        ):
            results[name] = check_costs(deep, images, max(arguments.repeats // 10, 1))
    for name, rows in results.items():
        print(name)
        for row, values in rows.items():
            print(f"  {row:45} {values['median']:6.2f}  [{values['lower']:.2f}, {values['upper']:.2f}]")
    if arguments.json:
        write_json(arguments.json, {"threads": 1, "ratios": results, "made": provenance()})


if __name__ == "__main__":
    main()
