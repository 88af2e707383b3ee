"""What the top Hessian eigenvalue costs: Hessian-vector products, and CPU time in full-batch gradients.

Claim: to come within a relative error of 1e-3 of lambda_1 of a trained network, `top_eigenpairs` needs fewer products
than the power method (also PyHessian's) and no more than ARPACK. Two comparisons: the smallest budget of products that
suffices (of Lanczos and of the power method; known only with hindsight), and each solver's own stopping rule at its
tolerance 1e-3, with the error that it then has. Float32, CPU time, one thread, interleaved repeats, each with another
random start that all solvers share.
"""

import argparse
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import (
    Checkpoint,
    DataSet,
    NetworkLandscape,
    flatten,
    lanczos,
    load_data,
    power_iterates,
    power_method,
    provenance,
    top_eigenpairs,
    write_json,
)
from eigensam.optim import TrainSettings, train

TOLERANCE = 1e-3
MOST = 256  # products
GRADIENTS = 10  # per timing of the unit
NEEDED, OWN_STOP = "smallest sufficient budget", "own stopping rule at 1e-3"
LANCZOS, POWER = "lanczos", "power"

Rows = dict[str, dict[str, dict[str, Any]]]  # comparison, solver, quantity


class Counted:
    """A callable that counts its calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *arguments: Any) -> Any:
        """One counted call."""
        self.calls += 1
        return self.function(*arguments)


@dataclass(frozen=True)
class Solver:
    """A way to lambda_1.

    Attributes:
        solve: (budget of products, or None for the solver's own stopping rule; seed of the start) to lambda_1.
        owner: what has the Hessian-vector product that the solver looks up at every call.
        product: its name there.
        method: whose iterates the solver has.
        stops: whether the solver has a stopping rule.
    """

    solve: Callable[[int | None, int], float]
    owner: Any
    product: str
    method: str
    stops: bool = True

    def run(self, budget: int | None, seed: int) -> tuple[float, int, float]:
        """lambda_1, the products spent, and CPU seconds."""
        with patch.object(self.owner, self.product, Counted(getattr(self.owner, self.product))) as counted:
            start = process_time()
            value = self.solve(budget, seed)
            return value, counted.calls, process_time() - start


def trained_network(data: DataSet, epochs: int) -> nn.Module:
    """The mlp after a short SGD training."""
    with TemporaryDirectory() as folder:
        run = train(TrainSettings(optimizer="sgd", epochs=epochs), data, Path(folder) / "run")
        return Checkpoint.read(run).network(run)


def relative_error(value: float, exact: float) -> float:
    """``|value / exact - 1|``."""
    return abs(value / exact - 1)


def random_start(landscape: NetworkLandscape, seed: int) -> Tensor:
    """The vector that PyHessian would draw after this seed, so that all solvers start from the same one."""
    torch.manual_seed(seed)
    return flatten(torch.randn(shape) for shape in landscape.shapes)


def arpack(landscape: NetworkLandscape, budget: int | None, seed: int, tolerance: float = TOLERANCE) -> float:
    """Scipy's eigsh; a budget is its first Krylov space, of ``H start``, with a tolerance that asks for no restart."""
    x = landscape.point()
    start = random_start(landscape, seed).to(landscape.dtype).numpy()
    operator = LinearOperator(
        (landscape.dim, landscape.dim),
        matvec=lambda v: landscape.hessian_product(x, torch.from_numpy(v).view(-1)).numpy(),
        dtype=start.dtype,
    )
    extra: dict[str, Any] = {"tol": tolerance} if budget is None else {"tol": 1.0, "ncv": budget - 1}
    return float(eigsh(operator, 1, which="LA", v0=start, return_eigenvectors=False, **extra)[0])


def solvers(model: nn.Module, landscape: NetworkLandscape) -> dict[str, Solver]:
    """All contestants on one function; PyHessian only where it is installed."""
    x = landscape.point()

    def ours(budget: int | None, seed: int) -> float:
        start = random_start(landscape, seed)
        return float(top_eigenpairs(landscape, x, max_hvps=budget or MOST, tolerance=TOLERANCE, start=start).values[0])

    def power(budget: int | None, seed: int) -> float:
        start = random_start(landscape, seed)
        pairs = power_method(
            lambda v: landscape.hessian_product(x, v), landscape.dim, budget or MOST, start=start, dtype=landscape.dtype
        )
        return float(pairs.values[0])

    def scipy(budget: int | None, seed: int) -> float:
        return arpack(landscape, budget, seed)

    result = {
        "top_eigenpairs": Solver(ours, landscape, "hessian_product", LANCZOS),
        "power method": Solver(power, landscape, "hessian_product", POWER, stops=False),
        "scipy eigsh": Solver(scipy, landscape, "hessian_product", LANCZOS),
    }
    try:
        pyhessian = import_module("pyhessian.hessian")
    except ImportError:
        return result

    def peer(budget: int | None, seed: int) -> float:
        torch.manual_seed(seed)
        model.zero_grad()
        hessian = pyhessian.hessian(model, cross_entropy, data=landscape.batches[0], cuda=False)
        tolerance = TOLERANCE if budget is None else 0.0  # 0 never stops it before the budget
        values, _ = hessian.eigenvalues(maxIter=budget or MOST, tol=tolerance, top_n=1)
        return float(values[0])

    return result | {"PyHessian": Solver(peer, pyhessian, "hessian_vector_product", POWER)}


def truth(model: nn.Module, data: DataSet) -> dict[str, float]:
    """The top of the spectrum by a long Lanczos in float64, with ARPACK's word on it; the model returns to float32."""
    landscape = NetworkLandscape.from_tensors(
        model.double(), cross_entropy, data.train_inputs.double(), data.train_targets
    )
    x = landscape.point()
    top = lanczos(lambda v: landscape.hessian_product(x, v), landscape.dim, 2, max_hvps=150, tolerance=1e-9)
    second = arpack(landscape, None, seed=1, tolerance=1e-9)
    model.float()
    lambda_1, lambda_2 = top.values.tolist()
    return {
        "lambda_1": lambda_1,
        "relative_residual": float(top.residuals[0]) / lambda_1,
        "relative_difference_to_arpack": relative_error(second, lambda_1),
        "lambda_2_over_lambda_1": lambda_2 / lambda_1,
    }


def smallest_budgets(landscape: NetworkLandscape, seed: int, lambda_1: float) -> dict[str, int]:
    """Products that Lanczos and the power method need from this start; ``MOST`` if that is not enough either."""
    x, start = landscape.point(), random_start(landscape, seed)

    def product(v: Tensor) -> Tensor:
        return landscape.hessian_product(x, v)

    def krylov(budget: int) -> Tensor:
        return lanczos(product, landscape.dim, max_hvps=budget, start=start, dtype=landscape.dtype).values[0]

    powers = power_iterates(product, start / start.norm())
    estimates: dict[str, Iterator[tuple[int, Tensor]]] = {
        LANCZOS: ((n, krylov(n)) for n in range(3, MOST)),  # ARPACK accepts no budget below 3
        POWER: ((n, v @ hv) for n, (v, hv) in zip(range(1, MOST), powers, strict=False)),
    }
    return {
        method: next((n for n, value in values if relative_error(float(value), lambda_1) <= TOLERANCE), MOST)
        for method, values in estimates.items()
    }


def quartiles(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    return dict(zip(("lower", "median", "upper"), np.quantile(values, (0.25, 0.5, 0.75)).tolist(), strict=True))


def measure(contestants: dict[str, Solver], landscape: NetworkLandscape, lambda_1: float, repeats: int) -> Rows:
    """Quartiles over repeats."""
    x = landscape.point()
    runs = [(name, NEEDED) for name in contestants]
    runs += [(name, OWN_STOP) for name, solver in contestants.items() if solver.stops]
    samples: dict[tuple[str, str], list[dict[str, float]]] = {run: [] for run in runs}
    for solver in contestants.values():
        solver.run(8, seed=0)  # warm-up
    for seed in range(repeats):
        budgets = smallest_budgets(landscape, seed, lambda_1)
        start = process_time()
        for _ in range(GRADIENTS):
            landscape.gradient(x)
        gradient = (process_time() - start) / GRADIENTS
        for name, rule in random.sample(runs, len(runs)):  # nobody always runs first
            solver = contestants[name]
            value, products, seconds = solver.run(budgets[solver.method] if rule == NEEDED else None, seed)
            error = relative_error(value, lambda_1)
            samples[name, rule].append(
                {
                    "products": products,
                    "relative_error": error,
                    "gradients": seconds / gradient,
                    "gradients_per_product": seconds / gradient / products,
                }
            )
    rows: Rows = {NEEDED: {}, OWN_STOP: {}}
    for (name, rule), found in samples.items():
        rows[rule][name] = {quantity: quartiles([one[quantity] for one in found]) for quantity in found[0]}
        rows[rule][name]["reached"] = sum(one["relative_error"] <= TOLERANCE for one in found)
    return rows


def show(rows: Rows, repeats: int) -> None:
    """Print a table of medians."""
    for rule, row in rows.items():
        print(f"{rule}: medians [quartiles]; CPU time in gradients")
        print(f"  {'':15} {'products':>16} {'error':>9} {'reached':>8} {'CPU time':>19} {'per product':>12}")
        for name, cost in row.items():
            count, time = (
                f"{q['median']:.{digits}f} [{q['lower']:.{digits}f}, {q['upper']:.{digits}f}]"
                for q, digits in ((cost["products"], 0), (cost["gradients"], 1))
            )
            error, each = cost["relative_error"]["median"], cost["gradients_per_product"]["median"]
            reached = f"{cost['reached']}/{repeats}"
            print(f"  {name:15} {count:>16} {error:9.1e} {reached:>8} {time:>19} {each:12.2f}")
    if "PyHessian" not in rows[NEEDED]:
        print("  PyHessian: not installed")


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20, help="of the training before the measurement")
    parser.add_argument("--repeats", type=int, default=11, help="random starts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here too")
    arguments = parser.parse_args()

    # PyHessian differentiates a gradient that it stores; its reference cycle ends with the next zero_grad.
    warnings.filterwarnings("ignore", message="Using backward\\(\\) with create_graph=True")
    random.seed(0)
    torch.set_num_threads(1)
    data = load_data("digits")
    with threadpool_limits(1):
        model = trained_network(data, arguments.epochs)
        spectrum = truth(model, data)
        landscape = NetworkLandscape.from_tensors(model, cross_entropy, data.train_inputs, data.train_targets)
        rows = measure(solvers(model, landscape), landscape, spectrum["lambda_1"], arguments.repeats)
    print(f"mlp after {arguments.epochs} epochs on digits, full batch, {arguments.repeats} repeats, 1 thread")
    print("  " + ", ".join(f"{name} {value:.4g}" for name, value in spectrum.items()))
    show(rows, arguments.repeats)
    if arguments.json:
        write_json(
            arguments.json,
            {
                "threads": 1,
                "spectrum": spectrum,
                "costs": rows,
                "pyhessian": version("pyhessian") if "PyHessian" in rows[NEEDED] else "not installed",
                "made": provenance(),
            },
        )


if __name__ == "__main__":
    main()
