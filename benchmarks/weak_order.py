"""What verifying a weak order costs: operators instead of matrices, and paths with and without variance reduction.

Claims: (1) on the torus the power series of both operators need far less time than powers of dense matrices by repeated
squaring and scipy's dense exponential, for the same errors; (2) the memory of a Monte-Carlo run does not grow with its
paths; (3) its coupled, controlled paths need fewer paths, by the ratio of variances, than independent ones for the same
interval. CPU time, one thread, interleaved repeats.
"""

import argparse
import random
import subprocess
import sys
from pathlib import Path
from time import process_time

import numpy as np
import torch
from scipy.linalg import expm
from threadpoolctl import threadpool_limits

from eigensam.ground import provenance, write_json
from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde import (
    MonteCarloPlan,
    TorusGrid,
    derive,
    drift_and_covariance,
    exact_increments,
    find_rule,
    verify_monte_carlo,
)
from eigensam.sde.simulation.noise import PathNoise
from eigensam.sde.weak_order.evolution import Evolution
from eigensam.sde.weak_order.torus_checks import periodic_test_functions

ETA, RESOLUTION = 2.0**-12, 27
PATHS, STEPS = 20_000, (1 / 16, 1 / 32, 1 / 64)


class Torus:
    """SAM's SDE of order 2 at one small step size, up to T = 1."""

    def __init__(self) -> None:
        f, sde = TiltedTorus.default(2), derive(find_rule("sam"), 2, "2/3")
        self.grid = TorusGrid(2, RESOLUTION)
        x, rho = self.grid.points[:, None], 0.8 * ETA ** (2 / 3)
        self.increments = exact_increments(f, sde.memoryless, x, rho)
        self.coefficients = drift_and_covariance(f, sde, x, rho, ETA)
        self.phi = periodic_test_functions(self.grid.points)

    def series(self) -> torch.Tensor:
        """Ours."""
        chain = Evolution(self.grid.chain(self.increments, ETA), ETA).advance(self.phi, 1.0)
        flow = Evolution(self.grid.generator(*self.coefficients, ETA)).advance(self.phi, 1.0)
        return chain - flow

    def dense(self) -> torch.Tensor:
        """The same operators as matrices."""
        identity = torch.eye(len(self.phi), dtype=torch.float64)
        p = identity + ETA * self.grid.chain(self.increments, ETA)(identity)
        generator = self.grid.generator(*self.coefficients, ETA)(identity)
        flow = torch.from_numpy(expm(generator.numpy()))
        difference: torch.Tensor = torch.linalg.matrix_power(p, round(1 / ETA)) @ self.phi - flow @ self.phi
        return difference


def peak_memory(paths: int) -> float:
    """Of a new process that runs so many paths, in MiB; by Linux' VmHWM, since ru_maxrss begins with the parent's."""
    code = (
        "import torch; from pathlib import Path; from eigensam.landscapes import Quadratic; from eigensam.sde import *;"
        "torch.set_num_threads(1);"
        "sde = derive(find_rule('usam'), 1, '1/2');"
        f"plan = MonteCarloPlan(paths={paths});"
        "verify_monte_carlo(sde, Quadratic.random(10), etas=[1 / 4, 1 / 8], plan=plan);"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(found.stdout) / 1024


def monte_carlo() -> None:
    """One run."""
    verify_monte_carlo(
        derive(find_rule("sam"), 1, "1/2"),
        landscape=TiltedTorus.default(2),
        etas=STEPS,
        plan=MonteCarloPlan(paths=PATHS),
    )


def draw() -> None:
    """The floor: its random numbers alone."""
    noise = PathNoise(0, 1, round(1 / STEPS[-1]) * 3)
    for first in range(0, PATHS, 4096):
        noise.draw(first, min(4096, PATHS - first))


def times(functions: dict[str, object], repeats: int) -> dict[str, list[float]]:
    """CPU seconds, interleaved in random order."""
    result: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name in random.sample(list(functions), len(functions)):
            start = process_time()
            functions[name]()  # type: ignore[operator]
            result[name].append(process_time() - start)
    return result


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    torus = Torus()
    difference = float((torus.series() - torus.dense()).abs().max())
    print(f"torus, n = {RESOLUTION}, eta = 2^-12: both errors agree to {difference:.1g}")
    assert difference < 1e-10
    with threadpool_limits(1):
        torus_times = times({"series": torus.series, "dense": torus.dense}, arguments.repeats)
        path_times = times({"run": monte_carlo, "draw": draw}, max(2, arguments.repeats // 2))
    ratio = np.quantile(np.divide(torus_times["dense"], torus_times["series"]), [0.5, 0.25, 0.75])
    print("dense / series: {:.1f} [{:.1f}, {:.1f}]".format(*ratio))
    floor = np.quantile(np.divide(path_times["run"], path_times["draw"]), [0.5, 0.25, 0.75])
    print("Monte-Carlo run / drawing its numbers: {:.1f} [{:.1f}, {:.1f}]".format(*floor))
    memory = {paths: peak_memory(paths) for paths in (10**4, 10**5, 10**6)}
    print("peak memory: " + ", ".join(f"{paths:.0e} paths {mib:.0f} MiB" for paths, mib in memory.items()))
    ratios = {}
    for name, f in (("torus", TiltedTorus.default(2)), ("quadratic", Quadratic.random(10))):
        rule = "sam" if name == "torus" else "usam"
        found = verify_monte_carlo(
            derive(find_rule(rule), 1, "1/2"), landscape=f, etas=STEPS, plan=MonteCarloPlan(paths=PATHS)
        )
        ratios[name] = found.details["variance_ratio"]
        print(f"variance of independent paths / ours, {name}: " + ", ".join(f"{r:.0f}" for r in ratios[name]))
    if arguments.json is not None:
        result = {
            "agreement": difference,
            "dense_over_series": ratio.tolist(),
            "run_over_draw": floor.tolist(),
            "peak_memory_mib": memory,
            "variance_ratios": ratios,
            "etas": STEPS,
        }
        write_json(arguments.json, {"made_with": provenance(), **result})
        print(f"wrote {arguments.json}")


if __name__ == "__main__":
    main()
