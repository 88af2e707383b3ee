"""What Hessian products and truncated SAM gradients cost, in plain gradients of the same batch.

Claims: one Hessian product costs at most 1.05 of the cheapest of curvlinops, hessian-eigenthings and two plain reverse
passes; eight products together at most 0.6 of eight single ones; the third-order truncated SAM gradient
g + rho H u + rho^2/2 T[u, u] costs at most 2.4 gradients at 10^5 parameters and 4.2 at 5 10^3, and at most a quarter of
jvp(jvp(grad)). Batch of 256, float32, CPU time, one thread, interleaved repeats; results are compared before timing.
"""

import argparse
import random
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from curvlinops import HessianLinearOperator
from hessian_eigenthings.operators.hessian import HessianOperator
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp
from torch.nn.functional import cross_entropy

from eigensam.ground import provenance, write_json
from eigensam.landscapes import Hessian, NetworkFunction, build_model, flatten, unflatten
from eigensam.landscapes.networks.network_derivatives import NetworkDerivatives

RHO, BATCH, ROWS = 0.05, 256, 8

Timed = dict[str, Callable[[], Any]]


def networks() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Name to network and shape of an input."""

    def mlp(*widths: int) -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.GELU()]
        return nn.Sequential(*layers[:-1])

    return {
        "mlp 64-64-10": (mlp(64, 64, 10), (1, 8, 8)),
        "mlp 784-128-10": (mlp(784, 128, 10), (1, 28, 28)),
        "mlp 64-288-288-10 (eigensam's mlp)": (build_model("mlp", (1, 8, 8), 10), (1, 8, 8)),
        "cnn6 on digits": (build_model("cnn6", (1, 8, 8), 10), (1, 8, 8)),
    }


def contestants(model: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[Timed, Timed, Timed]:
    """Gradient and single products; eight products; truncated gradients."""
    parameters = list(model.parameters())
    network, batch = NetworkFunction(model, cross_entropy), (inputs, targets)
    x = network.point()
    u = torch.randn_like(x)
    u /= u.norm()
    rows = torch.randn(ROWS, len(x))
    parts = unflatten(u, network.shapes)
    once, kept = Hessian(network, [batch], graph_bytes=0), Hessian(network, [batch], method="graph")
    peer = HessianOperator(model, [batch], lambda m, b: cross_entropy(m(b[0]), b[1]))
    other = HessianLinearOperator(
        model, nn.CrossEntropyLoss(), parameters, [batch], check_deterministic=False, progressbar=False
    )

    def gradient() -> Tensor:
        return flatten(torch.autograd.grad(cross_entropy(model(inputs), targets), parameters))

    def two_passes() -> Tensor:
        g = torch.autograd.grad(cross_entropy(model(inputs), targets), parameters, create_graph=True)
        return flatten(torch.autograd.grad(g, parameters, parts))

    singles: Timed = {
        "gradient": gradient,
        "eigensam": lambda: once @ u,
        "eigensam, graph kept": lambda: kept @ u,
        "two plain reverse passes": two_passes,
        "hessian-eigenthings": lambda: peer.matvec(u),
        "curvlinops": lambda: other @ u,
    }
    eight: Timed = {
        "gradient": gradient,
        "eigensam, together": lambda: once @ rows,
        "eigensam, one by one": lambda: [once @ row for row in rows],
        "eigensam, one by one, graph kept": lambda: [kept @ row for row in rows],
        "curvlinops, together": lambda: other @ rows.T,
    }
    values = {name: p.detach() for name, p in model.named_parameters()}
    direction = dict(zip(values, parts, strict=True))
    slope = grad(lambda p: cross_entropy(functional_call(model, p, (inputs,)), targets))

    def nested_forward_mode() -> Tensor:
        first, second, *_ = jvp(lambda p: jvp(slope, (p,), (direction,))[1], (values,), (direction,))
        g = slope(values)
        return flatten(g[n] + RHO * first[n] + RHO**2 / 2 * second[n] for n in values)

    def truncated(route: Any) -> Callable[[], Tensor]:
        derivatives = NetworkDerivatives(network, route)
        terms = [(1.0, ()), (RHO, (u,)), (RHO**2 / 2, (u, u))]
        return lambda: derivatives.contracted_gradient(x, terms, batch)

    thirds: Timed = {
        "gradient": gradient,
        "eigensam": truncated("auto"),
        "three reverse passes": truncated("reverse"),
        "jvp(jvp(grad))": nested_forward_mode,
    }
    check(
        singles, ["eigensam", "eigensam, graph kept", "two plain reverse passes", "hessian-eigenthings", "curvlinops"]
    )
    check(thirds, ["eigensam", "three reverse passes", "jvp(jvp(grad))"])
    return singles, eight, thirds


def check(timed: Timed, names: list[str]) -> None:
    """All give one result."""
    first, *others = (timed[name]() for name in names)
    for name, other in zip(names[1:], others, strict=True):
        error = float((other - first).norm() / first.norm())
        if error > 1e-4:
            raise SystemExit(f"{name} differs by {error:g}")


def measure(timed: Timed, repeats: int) -> dict[str, list[float]]:
    """Quartiles of CPU time in gradients of the same round."""
    samples: dict[str, list[float]] = {name: [] for name in timed}
    for function in timed.values():
        function()
    for _ in range(repeats):
        seconds = {}
        for name in random.sample(list(timed), len(timed)):
            start = process_time()
            timed[name]()
            seconds[name] = process_time() - start
        for name, value in seconds.items():
            samples[name].append(value / seconds["gradient"])
    return {name: np.quantile(values, (0.25, 0.5, 0.75)).tolist() for name, values in samples.items()}


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    random.seed(0)
    torch.set_num_threads(1)
    result: dict[str, Any] = {"threads": 1, "batch": BATCH, "made": provenance()}
    with threadpool_limits(1):
        for name, (model, shape) in networks().items():
            torch.manual_seed(0)
            tables = contestants(model, torch.randn(BATCH, *shape), torch.randint(10, (BATCH,)))
            count = sum(p.numel() for p in model.parameters())
            print(f"{name}, {count} parameters: CPU time in gradients, medians [quartiles]")
            result[name] = {"parameters": count}
            titles = ("one Hessian product", f"{ROWS} Hessian products", "truncated SAM gradient")
            for title, timed in zip(titles, tables, strict=True):
                repeats = arguments.repeats * (4 if count < 10_000 else 1)
                result[name][title] = found = measure(timed, repeats)
                print(f"  {title}")
                for who, (low, median, high) in found.items():
                    if who != "gradient":
                        print(f"    {who:34} {median:6.2f} [{low:.2f}, {high:.2f}]", flush=True)
    result["peers"] = {peer: version(peer) for peer in ("hessian-eigenthings", "curvlinops-for-pytorch")}
    if arguments.json:
        write_json(arguments.json, result)


if __name__ == "__main__":
    main()
