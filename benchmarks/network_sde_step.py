"""What one step of SAM's SDEs costs on MNIST, in gradients of the same minibatches, and what passes of pairs save.

Claim: on the MLP with 3e5 parameters and 100 minibatches of 100 images, a step of SAM's SDEs, with the direction ``g /
|g|`` and the exact noise, costs at most 4 (second order) and 4.5 (third order) times a plain loop of
``torch.autograd.grad`` over the minibatches, and the noise at most 3 % of it; all vectors at once, which leave the
caches, cost less than 5 and 6. On a small network (digits, 64-32-10), 5 paths times 10 minibatches take less than
half the time in one pass of pairs that they take one pair at a time. CPU time, one thread, interleaved repeats; medians
of ratios with quartiles; results are compared before anything is timed.
"""

import argparse
import random
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from eigensam.ground import provenance, write_json
from eigensam.landscapes import NetworkLandscape, build_model, load_data
from eigensam.sde import RULES, coefficients, exact_increments, truncate
from eigensam.sde.simulation.networks.minibatch_fields import SDEField

RHO, MEMBERS, BATCH, PER_PASS = 0.05, 100, 100, 10
PATHS, SMALL_MEMBERS = 5, 10
SAM = RULES["sam"]
ORDERS = {"second order": truncate(SAM, "1/2", 2), "third order": truncate(SAM, "1/3", 3)}

Tasks = dict[str, Callable[[], object]]


def steps(f: NetworkLandscape, x: Tensor) -> Tasks:
    """What is evaluated in one step, all minibatches' vectors at once."""
    tasks: Tasks = {"gradients": lambda: f.gradients(x), "exact step": lambda: exact_increments(f, SAM, x, RHO)}
    for name, sde in ORDERS.items():
        tasks[name] = lambda sde=sde: coefficients(f, sde, x, RHO)  # type: ignore[misc]
    return tasks


def large(root: Path) -> Tasks:
    """MNIST: the unit, and the steps."""
    torch.manual_seed(0)
    data, count = load_data("mnist", root=root), MEMBERS * BATCH
    model = build_model("mlp", data.shape, 10)
    f = NetworkLandscape.from_tensors(
        model,
        cross_entropy,
        data.train_inputs[:count],
        data.train_targets[:count],
        batch_size=BATCH,
        points_per_pass=PER_PASS,
    )
    parameters = list(model.parameters())

    def loop() -> list[tuple[Tensor, ...]]:
        return [torch.autograd.grad(cross_entropy(model(inputs), targets), parameters) for inputs, targets in f.batches]

    rows = torch.stack([torch.cat([g.flatten() for g in gradient]) for gradient in loop()])
    torch.testing.assert_close(f.gradients(f.point()), rows, rtol=1e-4, atol=1e-7)
    return {"unit": lambda: [None for _ in loop()], **steps(f, f.point()), **process_steps(f)}


def process_steps(f: NetworkLandscape) -> Tasks:
    """What a process evaluates: drift, and drift with noise, in chunks that fit the caches, as weighted sums."""
    tasks: Tasks = {}
    x, z, values = f.point()[None], torch.randn(1, f.size), {"rho": RHO}
    for name, sde in ORDERS.items():
        field = SDEField(f, sde, eta=0.1)
        drift = coefficients(f, sde, f.point(), RHO).increments.mean(0)
        torch.testing.assert_close(field.drift(x, values)[0], drift, rtol=1e-3, atol=1e-6)
        tasks[f"{name}, drift"] = lambda field=field: field.drift(x, values)  # type: ignore[misc]
        tasks[f"{name}, drift, noise"] = lambda field=field: field.drift_and_kick(x, z, values)  # type: ignore[misc]
    return tasks


def small(points_per_pass: int) -> NetworkLandscape:
    """Digits: paths times minibatches."""
    torch.manual_seed(0)
    data, count = load_data("digits"), SMALL_MEMBERS * BATCH
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 10))
    return NetworkLandscape.from_tensors(
        model,
        cross_entropy,
        data.train_inputs[:count],
        data.train_targets[:count],
        batch_size=BATCH,
        points_per_pass=points_per_pass,
    )


def pairs() -> Tasks:
    """The steps of five paths, one pair at a time and all in one pass."""
    alone, together = small(1), small(PATHS * SMALL_MEMBERS)
    x = alone.point() + 0.01 * torch.randn(PATHS, 1, alone.dim)
    one, all_at_once = steps(alone, x), steps(together, x)
    for name, sde in ORDERS.items():
        found, truth = (coefficients(f, sde, x, RHO).increments for f in (together, alone))
        torch.testing.assert_close(found, truth, rtol=1e-3, atol=1e-5, msg=f"{name}: passes of pairs differ")
    return {f"{name}, one at a time": task for name, task in one.items()} | {
        f"{name}, one pass": task for name, task in all_at_once.items()
    }


def measured(tasks: Tasks, repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each task, interleaved in random order; the first round is the warm-up."""
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


def quartiles(numerator: list[float], denominator: list[float]) -> list[float]:
    """Of the ratios of one repeat's times."""
    quantiles: list[float] = np.quantile(np.divide(numerator, denominator), (0.25, 0.5, 0.75)).tolist()
    return quantiles


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--root", type=Path, default=Path("data"), help="where MNIST lies, as torchvision keeps it")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        seconds = measured(large(arguments.root), arguments.repeats)
        small_seconds = measured(pairs(), 3 * arguments.repeats)
    unit = seconds.pop("unit")
    ratios = {f"MNIST, {name}": quartiles(values, unit) for name, values in seconds.items()}
    names = [name.removesuffix(", one pass") for name in small_seconds if name.endswith(", one pass")]
    speedups = {
        f"digits, {name}": quartiles(small_seconds[f"{name}, one at a time"], small_seconds[f"{name}, one pass"])
        for name in names
    }
    print(f"unit: a loop of gradients over {MEMBERS} minibatches, {np.median(unit):.3f} s")
    for name, (low, middle, high) in ratios.items():
        print(f"{name:24} {middle:6.2f} [{low:.2f}, {high:.2f}] units")
    print(f"pairs in one pass, {PATHS} paths and {SMALL_MEMBERS} minibatches, against one at a time:")
    for name, (low, middle, high) in speedups.items():
        print(f"{name:24} {middle:6.2f} [{low:.2f}, {high:.2f}] times faster")
    if arguments.json:
        write_json(arguments.json, {"ratios": ratios, "speedups": speedups, "provenance": provenance()})


if __name__ == "__main__":
    main()
