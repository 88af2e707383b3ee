"""What the top Hessian eigenvalue costs beside PyHessian, hessian-eigenthings and scipy: CPU time in gradients.

Claims: lambda_1 to a relative error of 1e-3 of a trained network costs at most half of PyHessian's CPU time and three
quarters of hessian-eigenthings', in at most 10 products. Two comparisons: the smallest number of products that suffices
from a start (known only with hindsight: the iterations themselves), and own rules (what a user gets): our stopping rule
at 1e-3; the smallest `max_iter` for which hessian-eigenthings says "converged" at 1e-3 (it has no rule, and the search
is not charged); PyHessian's rule at the loosest tolerance of a ladder that ends within 1e-3 from every start.

Float32, full batch, one thread, interleaved repeats, each with another random start.
"""

import argparse
import random
import warnings
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
import torch
from hessian_eigenthings.algorithms.lanczos import lanczos as eigenthings_lanczos
from hessian_eigenthings.operators.hessian import HessianOperator
from pyhessian import hessian as pyhessian
from scipy.sparse.linalg import eigsh
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from eigensam.ground import provenance, write_json
from eigensam.landscapes import Hessian, NetworkFunction, lanczos, load_data
from eigensam.optim import TrainSettings, train

TOLERANCE = 1e-3
MOST = 100  # products
LADDER = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
PARTS = ("smallest sufficient", "own rule")

Batch = tuple[Tensor, Tensor]
Solver = Callable[[nn.Module, Batch, int, int, float], tuple[float, int]]  # budget, seed, tolerance to value, products


def ours(model: nn.Module, batch: Batch, budget: int, seed: int, tolerance: float) -> tuple[float, int]:
    """Lanczos on a Hessian whose graph is kept."""
    pairs = lanczos(
        Hessian(NetworkFunction(model, cross_entropy), [batch]),
        max_products=budget,
        tolerance=tolerance,
        seed=seed,
    )
    return float(pairs.values[0]), pairs.products


def eigenthings(model: nn.Module, batch: Batch, budget: int, seed: int, tolerance: float) -> tuple[float, int]:
    """hessian-eigenthings' Lanczos with the given number of steps."""
    operator = HessianOperator(model, [batch], lambda m, b: cross_entropy(m(b[0]), b[1]))
    found = eigenthings_lanczos(operator, k=1, max_iter=budget, tol=tolerance, which="LA", seed=seed)
    return float(found.eigenvalues[0]), found.iterations


def power(model: nn.Module, batch: Batch, budget: int, seed: int, tolerance: float) -> tuple[float, int]:
    """PyHessian's power iteration."""
    torch.manual_seed(seed)
    model.zero_grad()
    peer = pyhessian(model, cross_entropy, data=batch, cuda=False)
    calls, product = [0], torch.autograd.grad

    def counted(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        return product(*arguments, **options)

    torch.autograd.grad = counted
    try:
        values, _ = peer.eigenvalues(maxIter=budget, tol=tolerance, top_n=1)
    finally:
        torch.autograd.grad = product
        model.zero_grad()
    return float(values[0]), calls[0]


def arpack(model: nn.Module, batch: Batch, budget: int, seed: int, tolerance: float) -> tuple[float, int]:
    """Scipy's eigsh on our products."""
    count = [0]
    matrix = Hessian(NetworkFunction(model, cross_entropy), [batch])

    class Counted(Hessian):
        def _product(self, v: Tensor) -> Tensor:
            count[0] += 1
            return super()._product(v)

    matrix.__class__ = Counted
    start = torch.randn(matrix.dim, generator=torch.Generator().manual_seed(seed)).numpy()
    extra: dict[str, Any] = {"tol": tolerance} if budget == MOST else {"tol": 1.0, "ncv": max(2, budget - 1)}
    value = eigsh(matrix.to_scipy(), 1, which="LA", v0=start, return_eigenvectors=False, **extra)[0]
    return float(value), count[0]


SOLVERS: dict[str, Solver] = {
    "eigensam": ours,
    "hessian-eigenthings": eigenthings,
    "PyHessian": power,
    "scipy eigsh on our products": arpack,
}


def trained_network(name: str, epochs: int, examples: int) -> tuple[nn.Module, Batch]:
    """A network after a short SGD training, and the first examples of digits."""
    data = load_data("digits")
    with TemporaryDirectory() as folder:
        run = train(TrainSettings("sgd", model=name, epochs=epochs), data, Path(folder) / "run")
        model = run.network()
    return model, (data.train_inputs[:examples], data.train_targets[:examples])


def truth(model: nn.Module, batch: Batch) -> dict[str, float]:
    """The top of the spectrum by a long Lanczos in float64, with ARPACK's word on it; the model returns to float32."""
    double = batch[0].double(), batch[1]
    operator = Hessian(NetworkFunction(model.double(), cross_entropy), [double])
    top = lanczos(operator, 2, max_products=150, tolerance=1e-9)
    second = float(eigsh(operator.to_scipy(), 1, which="LA", return_eigenvectors=False)[0])
    model.float()
    lambda_1, lambda_2 = top.values.tolist()
    return {
        "lambda_1": lambda_1,
        "relative_difference_to_arpack": abs(second / lambda_1 - 1),
        "lambda_2_over_lambda_1": lambda_2 / lambda_1,
    }


def plan(
    model: nn.Module, batch: Batch, lambda_1: float, seeds: range
) -> dict[tuple[str, str, int], tuple[int, float]]:
    """For each solver, comparison and start: the budget and tolerance to time."""

    def close(value: float) -> bool:
        return abs(value / lambda_1 - 1) <= TOLERANCE

    chosen: dict[tuple[str, str, int], tuple[int, float]] = {}
    for name, solve in SOLVERS.items():
        for seed in seeds:
            tight = 0.0 if name == "PyHessian" else 1e-15  # no rule of its own stops it
            budgets = range(3, MOST)  # the error falls with the budget
            enough = bisect_left(budgets, True, key=partial(_suffices, solve, model, batch, seed, tight, close))
            chosen[name, PARTS[0], seed] = budgets.start + enough, tight
    for seed in seeds:
        chosen["eigensam", PARTS[1], seed] = chosen["scipy eigsh on our products", PARTS[1], seed] = MOST, TOLERANCE
        steps = bisect_left(range(2, MOST), True, key=partial(_converged, model, batch, seed))
        chosen["hessian-eigenthings", PARTS[1], seed] = 2 + steps, TOLERANCE
    loosest = next(
        (t for t in LADDER if all(close(power(model, batch, MOST, seed, t)[0]) for seed in seeds)), LADDER[-1]
    )
    return chosen | {("PyHessian", PARTS[1], seed): (MOST, loosest) for seed in seeds}


def _suffices(
    solve: Solver,
    model: nn.Module,
    batch: Batch,
    seed: int,
    tolerance: float,
    close: Callable[[float], bool],
    budget: int,
) -> bool:
    return close(solve(model, batch, budget, seed, tolerance)[0])


def _converged(model: nn.Module, batch: Batch, seed: int, budget: int) -> bool:
    operator = HessianOperator(model, [batch], lambda m, b: cross_entropy(m(b[0]), b[1]))
    found = eigenthings_lanczos(operator, k=1, max_iter=budget, tol=TOLERANCE, which="LA", seed=seed)
    return bool(found.converged[0])


def gradient_seconds(model: nn.Module, batch: Batch, repeats: int = 5) -> float:
    """CPU seconds of one plain gradient."""
    parameters = list(model.parameters())
    start = process_time()
    for _ in range(repeats):
        torch.autograd.grad(cross_entropy(model(batch[0]), batch[1]), parameters)
    return (process_time() - start) / repeats


def measure(model: nn.Module, batch: Batch, lambda_1: float, repeats: int) -> dict[str, Any]:
    """Medians and quartiles of products, error and time."""
    seeds = range(repeats)
    chosen = plan(model, batch, lambda_1, seeds)
    samples: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for seed in seeds:
        unit = gradient_seconds(model, batch)
        for name, part in random.sample(sorted({key[:2] for key in chosen}), 2 * len(SOLVERS)):
            budget, tolerance = chosen[name, part, seed]
            start = process_time()
            value, products = SOLVERS[name](model, batch, budget, seed, tolerance)
            seconds = process_time() - start
            samples.setdefault((name, part), []).append((products, abs(value / lambda_1 - 1), seconds / unit))
    rows: dict[str, Any] = {}
    for (name, part), found in samples.items():
        columns = zip(("products", "relative_error", "gradients"), zip(*found, strict=True), strict=True)
        rows.setdefault(part, {})[name] = {
            column: np.quantile(values, (0.25, 0.5, 0.75)).tolist() for column, values in columns
        }
    return rows


def show(rows: dict[str, Any]) -> None:
    """Print a table of medians."""
    for part in PARTS:
        print(f"  {part}: medians [quartiles]; CPU time in gradients")
        mine = rows[part]["eigensam"]["gradients"][1]
        for name, found in rows[part].items():
            count, error, time = (found[key] for key in ("products", "relative_error", "gradients"))
            ratio = mine / time[1]
            print(
                f"    {name:28} {count[1]:3.0f} [{count[0]:.0f}, {count[2]:.0f}] products, error {error[1]:.1e}, "
                f"{time[1]:5.1f} [{time[0]:.1f}, {time[2]:.1f}] gradients; eigensam / this {ratio:.2f}"
            )


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11, help="random starts")
    parser.add_argument("--only", choices=("mlp", "cnn6"), help="one of the networks (the second takes ten minutes)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here too")
    arguments = parser.parse_args()

    # PyHessian differentiates a gradient that it stores; its reference cycle ends with the next zero_grad.
    warnings.filterwarnings("ignore", message="Using backward\\(\\) with create_graph=True")
    random.seed(0)
    torch.set_num_threads(1)
    result: dict[str, Any] = {"threads": 1, "made": provenance()}
    with threadpool_limits(1):
        for name, epochs, examples in (("mlp", 20, 1437), ("cnn6", 5, 128)):
            if arguments.only not in (None, name):
                continue
            model, batch = trained_network(name, epochs, examples)
            spectrum = truth(model, batch)
            print(f"{name}, {examples} digits, {arguments.repeats} starts, 1 thread")
            print("  " + ", ".join(f"{key} {value:.4g}" for key, value in spectrum.items()), flush=True)
            rows = measure(model, batch, spectrum["lambda_1"], arguments.repeats)
            show(rows)
            result[name] = {"spectrum": spectrum, "costs": rows}
    result["peers"] = {name: version(name) for name in ("pyhessian", "hessian-eigenthings", "scipy")}
    if arguments.json:
        write_json(arguments.json, result)


if __name__ == "__main__":
    main()
