"""What the coefficients of an SDE cost on a network, in gradients of the same minibatches.

Claim: generated code of nested reverse passes evaluates SAM's third-order drift and noise on all minibatches for less
than nested forward-mode derivatives of torch.func do, and the order-2 SDE for a small multiple of it. CPU time, one
thread, interleaved repeats; the peer's result is compared with ours first.
"""

import argparse
import random
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.func import grad, jvp
from torch.nn.functional import cross_entropy

from eigensam.ground import provenance, write_json
from eigensam.landscapes import NetworkLandscape, build_model, load_data
from eigensam.sde import RULES, coefficients, derive, exact_increments, truncate

RHO, MEMBERS, BATCH = 0.05, 4, 128


def landscape() -> NetworkLandscape:
    """The MLP with 10^5 parameters on four minibatches of digits."""
    torch.manual_seed(0)
    data = load_data("digits")
    model, count = build_model("mlp", data.shape, 10), MEMBERS * BATCH
    return NetworkLandscape.from_tensors(
        model, cross_entropy, data.train_inputs[:count], data.train_targets[:count], batch_size=BATCH
    )


def nested_forward_mode(f: NetworkLandscape, x: Tensor) -> Tensor:
    """SAM's third-order increments by ``jvp(jvp(grad))``, as one would write them by hand."""
    rows = []
    for m in range(f.size):
        gradient = grad(lambda y, m=m: f.minibatch_loss(y, m))
        g = gradient(x)
        u = g / g.norm()

        def along(y: Tensor, gradient: Callable[[Tensor], Tensor] = gradient, u: Tensor = u) -> Tensor:
            tangent: Tensor = jvp(gradient, (y,), (u,))[1]
            return tangent

        first, second, *_ = jvp(along, (x,), (u,))
        rows.append(-(g + RHO * first + RHO**2 / 2 * second))
    return torch.stack(rows)


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    f = landscape()
    x = f.point()
    sam, eigen_sam = RULES["sam"], RULES["eigen-sam"]
    v = torch.nn.functional.normalize(torch.ones_like(x), dim=0)
    sdes = {
        "SAM, second order": (truncate(sam, "1/2", 2), None),
        "SAM, third order": (truncate(sam, "1/3", 3), None),
        "Eigen-SAM, third order": (truncate(eigen_sam, "1/3", 3), {"alpha": 0.2, "v": v}),
        "SAM, order 2 (with b_1)": (derive(sam, 2, "2/3"), None),
    }
    tasks: dict[str, Callable[[], object]] = {
        "gradients": lambda: f.gradients(x),
        "SAM, exact step": lambda: exact_increments(f, sam, x, RHO),
        "SAM, third order, torch.func": lambda: nested_forward_mode(f, x),
    }
    for name, (sde, values) in sdes.items():
        tasks[name] = lambda sde=sde, values=values: coefficients(f, sde, x, RHO, values)  # type: ignore[misc]
    ours = coefficients(f, sdes["SAM, third order"][0], x, RHO).increments
    torch.testing.assert_close(nested_forward_mode(f, x), ours, rtol=1e-3, atol=1e-5)
    ratios: dict[str, list[float]] = {name: [] for name in tasks}
    order = list(tasks)
    with threadpool_limits(1):
        for repeat in range(-1, arguments.repeats):  # the first one is the warm-up
            random.shuffle(order)
            seconds = {}
            for name in order:
                start = process_time()
                for _ in range(3):
                    tasks[name]()
                seconds[name] = process_time() - start
            if repeat >= 0:
                for name, value in seconds.items():
                    ratios[name].append(value / seconds["gradients"])
    result = {name: np.quantile(values, (0.25, 0.5, 0.75)).tolist() for name, values in ratios.items()}
    for name, (low, middle, high) in sorted(result.items(), key=lambda item: item[1][1]):
        print(f"{name:30} {middle:6.2f} [{low:.2f}, {high:.2f}] gradients")
    if arguments.json:
        write_json(arguments.json, {"ratios": result, "provenance": provenance()})


if __name__ == "__main__":
    main()
