"""What a step costs, in steps of plain SGD: SAM and Eigen-SAM beside a bare transcription and a peer; and their memory.

Claims, CPU time, one thread, medians of interleaved repeats:

- SAM costs at most 2.02 SGD steps on a reduced ResNet-18, and on the `mlp` at most 0.05 more than a bare transcription
  that copies the parameters and puts them back (without replayed random numbers, buffers that move once, or a check
  that gradients are finite).
- Eigen-SAM with k = 100 and p = 5 costs at most 1.06 SAM steps on `cnn6` and the ResNet, 1.08 on the `mlp`; with
  k = 1000 at most 1.01.
- Eigen-SAM's tensors take one vector more than SAM's, outside of a refresh.
"""

import argparse
import multiprocessing
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from typing import Any
from weakref import finalize

import numpy as np
import torch
from pytorch_optimizer.optimizer import sam as peer_sam
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.models.resnet import BasicBlock

from eigensam.ground import provenance, write_json
from eigensam.landscapes import build_model, load_data
from eigensam.optim import SAM, EigenSAM

RHO, PERIODS, NEVER = 0.05, (100, 1000), 10**9
BASE: dict[str, Any] = {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}
# Steps per timing: enough that a timing takes tens of milliseconds.
NETWORKS = {
    "mlp": {"batch": 64, "steps": 20, "repeats": 40},
    "cnn6": {"batch": 128, "steps": 1, "repeats": 7},
    "resnet": {"batch": 64, "steps": 1, "repeats": 7},
}
REFERENCES = ("sgd", "bare")  # what ratios are to

Step = Callable[[Tensor, Tensor], object]


def reduced_resnet18() -> nn.Module:
    """ResNet-18 with a quarter of the channels, for 32 x 32 pixels: 700 000 parameters."""

    def block(before: int, after: int, stride: int) -> nn.Module:
        same = stride == 1 and before == after
        shortcut = (
            None if same else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )
        return nn.Sequential(BasicBlock(before, after, stride, shortcut), BasicBlock(after, after))

    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(block(a, b, s) for a, b, s in ((16, 16, 1), (16, 32, 2), (32, 64, 2), (64, 128, 2))),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)),
    )


def build(network: str) -> nn.Module:
    """All copies start equal."""
    torch.manual_seed(0)
    if network == "resnet":
        return reduced_resnet18()
    return build_model(network, load_data("digits").shape if network == "mlp" else (3, 32, 32), 10)


def bare_step(model: nn.Module) -> Step:
    """SAM as people write it: two passes, a copy of the parameters, nothing else."""
    parameters = list(model.parameters())
    base = SGD(parameters, **BASE)

    def step(x: Tensor, y: Tensor) -> None:
        base.zero_grad()
        cross_entropy(model(x), y).backward()
        with torch.no_grad():
            norm = torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm()
            scale, copies = RHO / (norm + 1e-12), [p.clone() for p in parameters]
            for p in parameters:
                if p.grad is not None:
                    p.add_(p.grad * scale)
        base.zero_grad()
        cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for p, copy in zip(parameters, copies, strict=True):
                p.copy_(copy)
        base.step()

    return step


def make_step(network: str, contestant: str, products: int = 5) -> Step:
    """One training step on a copy of the network."""
    model = build(network)
    if contestant == "bare":
        return bare_step(model)
    if contestant == "sgd":
        sgd = SGD(model.parameters(), **BASE)

        def plain(x: Tensor, y: Tensor) -> None:
            sgd.zero_grad()
            cross_entropy(model(x), y).backward()
            sgd.step()

        return plain
    if contestant == "pytorch_optimizer":
        peer = peer_sam.SAM(model.parameters(), SGD, rho=RHO, **BASE)

        def theirs(x: Tensor, y: Tensor) -> None:
            def closure() -> Any:
                loss = cross_entropy(model(x), y)
                loss.backward()
                return loss

            closure()
            peer.step(closure)
            peer.zero_grad()

        return theirs
    every = {"eigen-sam, ordinary step": NEVER, "eigen-sam, refresh step": 1}.get(contestant)
    optimizer = (
        SAM(model.parameters(), rho=RHO, **BASE)
        if every is None
        else EigenSAM(model.parameters(), rho=RHO, refresh_every=every, iterations=products, **BASE)
    )
    return lambda x, y: optimizer.step(lambda: cross_entropy(model(x), y))


CONTESTANTS = ("sgd", "bare", "pytorch_optimizer", "sam", "eigen-sam, ordinary step", "eigen-sam, refresh step")


def batches(network: str, seed: int) -> tuple[Tensor, Tensor]:
    """A minibatch."""
    size, generator = NETWORKS[network]["batch"], torch.Generator().manual_seed(seed)
    if network != "mlp":
        return torch.randn(size, 3, 32, 32, generator=generator), torch.randint(10, (size,), generator=generator)
    digits = load_data("digits")
    chosen = torch.randperm(len(digits.train_targets), generator=generator)[:size]
    return digits.train_inputs[chosen], digits.train_targets[chosen]


def work(network: str, contestants: Sequence[str], products: int, connection: Any) -> None:
    """In a process: waits for a contestant and the number of a repeat, answers with seconds."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        inner = NETWORKS[network]["steps"]
        steps = {name: make_step(network, name, products) for name in contestants}
        while (asked := connection.recv()) is not None:
            x, y = batches(network, asked[1])
            start = process_time()
            for _ in range(inner):
                steps[asked[0]](x, y)
            connection.send(process_time() - start)


def measure(network: str, products: int, repeats: int) -> dict[str, dict[str, float]]:
    """Medians and quartiles of ratios to SGD and to SAM, one for each repeat.

    Where a step takes long all contestants share a process, as two processes may find memory of different speed. Where
    it is short each is alone, as in a training: a step looks after the gradients of all optimizers that there are.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[str, Any] = {}
    for together in [[name] for name in CONTESTANTS] if network == "mlp" else [CONTESTANTS]:
        ours, theirs = context.Pipe()
        context.Process(target=work, args=(network, together, products, theirs), daemon=True).start()
        workers |= dict.fromkeys(together, ours)
    ratios: dict[str, list[float]] = {}
    order = list(workers)
    for repeat in range(repeats + 1):  # the first one is the warm-up
        random.shuffle(order)  # nobody always runs first
        seconds = {}
        for name in order:
            workers[name].send((name, repeat))
            seconds[name] = workers[name].recv()
        if repeat == 0:
            continue
        ordinary, refresh = seconds["eigen-sam, ordinary step"], seconds["eigen-sam, refresh step"]
        for k in PERIODS:
            seconds[f"eigen-sam, k = {k}"] = (refresh + (k - 1) * ordinary) / k
        for name, value in seconds.items():
            ratios.setdefault(f"{name} / sgd", []).append(value / seconds["sgd"])
            if name.startswith("eigen"):
                ratios.setdefault(f"{name} / sam", []).append(value / seconds["sam"])
        ratios.setdefault("sam - bare, in sgd", []).append((seconds["sam"] - seconds["bare"]) / seconds["sgd"])
        # The cost model 1 + p c/(2k) of SAM steps, where c gradients are a product.
        ratios.setdefault("a product, in sgd", []).append((refresh - ordinary) / products / seconds["sgd"])
    for connection in set(workers.values()):
        connection.send(None)
    return {name: quartiles(values) for name, values in ratios.items()}


def quartiles(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    return dict(zip(("lower", "median", "upper"), np.quantile(values, (0.25, 0.5, 0.75)).tolist(), strict=True))


class LiveTensors(TorchDispatchMode):
    """Bytes of all storages that operations have made and nobody has freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note what is new."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                key, size = storage.data_ptr(), storage.nbytes()
                if key and key not in self._seen:
                    self._seen.add(key)
                    self.now += size
                    self.peak = max(self.peak, self.now)
                    finalize(storage, self._freed, key, size)
        return out

    def _freed(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def memory(network: str) -> dict[str, float]:
    """The peak of what a step's operations hold, in vectors of parameters, from the second step on."""
    found = {}
    for name in ("sgd", "bare", "sam", "eigen-sam, ordinary step"):
        step, (x, y) = make_step(network, name), batches(network, 0)
        step(x, y)
        with LiveTensors() as live:
            for _ in range(2):
                step(x, y)
        found[name] = live.peak / (4 * sum(p.numel() for p in build(network).parameters()))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=5, help="Hessian-vector products per refresh (p)")
    parser.add_argument("--repeats", type=int, help="default: 40 for mlp, 7 for the others")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="comma-separated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here too")
    arguments = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    console = Console()
    with threadpool_limits(1):
        for network in arguments.networks.split(","):
            repeats = arguments.repeats or NETWORKS[network]["repeats"]
            found = measure(network, arguments.products, repeats)
            results[network] = {"time": found, "memory": memory(network)}
            title = f"{network}, batch {NETWORKS[network]['batch']}, p = {arguments.products}, {repeats} repeats"
            table = Table("ratio", "median", "quartiles", title=title)
            for name, ratio in found.items():
                table.add_row(name, f"{ratio['median']:.3f}", f"{ratio['lower']:.3f} to {ratio['upper']:.3f}")
            console.print(table)
            console.print({name: round(value, 2) for name, value in results[network]["memory"].items()})
    if arguments.json:
        write_json(arguments.json, {"threads": 1, "p": arguments.products, "results": results, "made": provenance()})


if __name__ == "__main__":
    main()
