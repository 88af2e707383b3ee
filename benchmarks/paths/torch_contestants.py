"""Contestants in torch: a plain loop, one with a compiled step, torchsde as it comes and as fast as it goes."""

import math
import warnings
from typing import Any

import torch
import torchsde
from torch import Tensor

from .contest import STEP, Run, Task, contestant

__all__: list[str] = []


def _start(task: Task) -> Tensor:
    x0 = torch.tensor(task.example.x0, dtype=getattr(torch, task.dtype), device=task.device)
    return x0.repeat(task.paths, 1)


def _draw(task: Task) -> Tensor:
    shape, dtype = (task.paths, task.example.noise_dim), getattr(torch, task.dtype)
    if task.increments == "two-point":
        return torch.randint(2, shape, device=task.device).to(dtype) * 2 - 1
    return torch.randn(shape, dtype=dtype, device=task.device)


@contestant("eager", "plain torch loop", two_point=True, cuda=True)
def _eager(task: Task) -> Run:
    functions = task.functions(torch)

    @torch.no_grad()
    def run(steps: int, seed: int) -> Tensor:
        torch.manual_seed(seed)
        x = _start(task)
        for k in range(steps):
            dw = _draw(task) * math.sqrt(STEP)
            kick = task.example.kick(functions.diffusion(k * STEP, x), dw)
            x = x + functions.drift(k * STEP, x) * STEP + kick
        return x

    return run


@contestant("vmap", "torch.compile of torch.func.vmap", two_point=True, cuda=True)
def _compiled_vmap(task: Task) -> Run:
    functions = task.functions(torch)

    @torch.compile(dynamic=False)
    def step(t: Tensor, x: Tensor, z: Tensor) -> Tensor:
        def point(x: Tensor, z: Tensor) -> Any:
            kick = task.example.kick(functions.diffusion(t, x), z)
            return x + functions.drift(t, x) * STEP + kick * math.sqrt(STEP)

        result: Tensor = torch.func.vmap(point)(x, z)
        return result

    times = torch.arange(100_000, dtype=getattr(torch, task.dtype), device=task.device) * STEP

    @torch.no_grad()
    def run(steps: int, seed: int) -> Tensor:
        torch.manual_seed(seed)
        x = _start(task)
        for k in range(steps):
            x = step(times[k], x, _draw(task))  # drawn outside: normal numbers of its own make the step slower
        return x

    return run


class _ForTorchsde(torch.nn.Module):
    sde_type = "ito"

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.functions, self.noise_type = task.functions(torch), task.example.noise

    def f(self, t: Tensor, y: Tensor) -> Any:
        return self.functions.drift(t, y)

    def g(self, t: Tensor, y: Tensor) -> Any:
        return self.functions.diffusion(t, y)


class _WithProduct(_ForTorchsde):
    """Also the product of small matrices, which spares torchsde a batched matrix product."""

    def f_and_g_prod(self, t: Tensor, y: Tensor, v: Tensor) -> tuple[Any, Tensor]:
        g = self.functions.diffusion(t, y)
        product = sum(g[..., j] * v[..., j : j + 1] for j in range(v.shape[-1]))
        return self.functions.drift(t, y), torch.as_tensor(product)


def _torchsde(task: Task, sde: Any, **options: Any) -> Run:
    x0 = _start(task)

    @torch.no_grad()
    def run(steps: int, seed: int) -> Any:
        end = steps * STEP
        path = torchsde.BrownianInterval(
            0.0,
            end,
            size=(task.paths, task.example.noise_dim),
            dtype=x0.dtype,
            device=x0.device,
            entropy=seed,
            **options,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # float32 end times
            ends = torch.tensor([0.0, end], dtype=x0.dtype, device=x0.device)
            return torchsde.sdeint(sde, x0, ends, bm=path, dt=STEP, method="euler")[-1]

    return run


@contestant("torchsde", "torchsde, as it comes", cuda=True)
def _torchsde_default(task: Task) -> Run:
    """The Brownian path that ``sdeint`` makes when it is given none, with a seed."""
    return _torchsde(task, _ForTorchsde(task))


@contestant("torchsde-fast", "torchsde, told the step", cuda=True)
def _torchsde_fast(task: Task) -> Run:
    """Of its settings (tree made beforehand, cache, dyadic tree, ``BrownianPath``) these were the fastest."""
    small = task.example.noise == "general" and task.example.noise_dim <= 4
    return _torchsde(task, (_WithProduct if small else _ForTorchsde)(task), dt=STEP)
