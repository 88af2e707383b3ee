"""What a step of SAM and Eigen-SAM costs, as a ratio to one plain SGD step (forward, backward, update).

Claim: SAM costs its two gradients, so about 2 SGD steps; Eigen-SAM costs SAM plus one gradient and p Hessian-vector
products every k steps, so little more than SAM at the paper's k = 100. CPU time, one thread, interleaved repeats.
"""

import argparse
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.functional import cross_entropy

from eigensam.ground import provenance, write_json
from eigensam.landscapes import build_model, load_data
from eigensam.optim import (
    EigenSAMSettings,
    Method,
    SAMSettings,
    SGDSettings,
    TrainSettings,
    TwoPassOptimizer,
    make_optimizer,
)

PERIODS = (100, 10)
NEVER = 10**9
# Steps per timing: enough that a timing takes tens of milliseconds.
NETWORKS = {"mlp": {"batch": 64, "steps": 20, "repeats": 30}, "cnn6": {"batch": 128, "steps": 1, "repeats": 5}}
CONTESTANTS: dict[str, Method] = {
    "sgd": SGDSettings(),
    "sam": SAMSettings(),
    # Refreshes in the first step only, which is the warm-up; the other one refreshes in every step.
    "eigen-sam, ordinary step": EigenSAMSettings(refresh_every=NEVER),
    "eigen-sam, refresh step": EigenSAMSettings(refresh_every=1),
}

Step = Callable[[Tensor, Tensor], None]


def make_step(network: str, shape: tuple[int, int, int], products: int, method: Method) -> Step:
    """One training step on its own copy of the network; all copies start equal."""
    torch.manual_seed(0)
    model = build_model(network, shape, 10)
    if isinstance(method, EigenSAMSettings):
        method = replace(method, iterations=products)
    optimizer = make_optimizer(TrainSettings(method, model=network, lr=0.01), model)

    def step(x: Tensor, y: Tensor) -> None:
        if isinstance(optimizer, TwoPassOptimizer):
            optimizer.step(lambda: cross_entropy(model(x), y))
        else:
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()

    return step


def quartiles(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    return dict(zip(("lower", "median", "upper"), np.quantile(values, (0.25, 0.5, 0.75)).tolist(), strict=True))


def measure(network: str, products: int, repeats: int) -> dict[str, dict[str, float]]:
    """Quartiles over repeats of every contestant's cost in SGD steps."""
    batch, inner = NETWORKS[network]["batch"], NETWORKS[network]["steps"]
    digits = load_data("digits")
    shape = digits.shape if network == "mlp" else (3, 32, 32)
    steps = {name: make_step(network, shape, products, arguments) for name, arguments in CONTESTANTS.items()}
    ratios: dict[str, list[float]] = {}
    order = list(steps)
    for repeat in range(-1, repeats):  # the first one is the warm-up
        if network == "mlp":
            chosen = torch.randperm(len(digits.train_targets))[:batch]
            x, y = digits.train_inputs[chosen], digits.train_targets[chosen]
        else:
            x, y = torch.randn(batch, *shape), torch.randint(10, (batch,))
        random.shuffle(order)  # nobody always runs first
        seconds = {}
        for name in order:
            start = process_time()
            for _ in range(inner):
                steps[name](x, y)
            seconds[name] = process_time() - start
        for k in PERIODS:
            ordinary, refresh = seconds["eigen-sam, ordinary step"], seconds["eigen-sam, refresh step"]
            seconds[f"eigen-sam, k = {k}"] = (refresh + (k - 1) * ordinary) / k
        if repeat >= 0:
            for name, value in seconds.items():
                ratios.setdefault(name, []).append(value / seconds["sgd"])
    return {name: quartiles(ratios[name]) for name in sorted(ratios, key=lambda name: np.median(ratios[name]))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=5, help="Hessian-vector products per refresh (p)")
    parser.add_argument("--repeats", type=int, help="default: 30 for mlp, 5 for cnn6")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here too")
    arguments = parser.parse_args()

    random.seed(0)
    torch.set_num_threads(1)
    results = {}
    with threadpool_limits(1):
        for network, plan in NETWORKS.items():
            repeats = arguments.repeats or plan["repeats"]
            results[network] = measure(network, arguments.products, repeats)
            print(f"{network}, batch {plan['batch']}, p = {arguments.products}; SGD steps, {repeats} repeats, 1 thread")
            for name, ratio in results[network].items():
                print(f"  {name:26} {ratio['median']:6.2f}  [{ratio['lower']:.2f}, {ratio['upper']:.2f}]")
    if arguments.json:
        write_json(arguments.json, {"threads": 1, "p": arguments.products, "ratios": results, "made": provenance()})


if __name__ == "__main__":
    main()
