"""Ours: final states alone, as all others, and with the statistics that ``simulate`` keeps unless told otherwise."""

import torch
from torch import Tensor

from eigensam.landscapes import Valley
from eigensam.sde import derive, derived_problem, find_rule
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.kernels.stepper import Backend
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.simulate import Engine, simulate

from .contest import STEP, Run, Task, contestant
from .examples import ETA, EXAMPLES, RHO, VALLEY

__all__ = ["as_it_comes"]


def _problem(task: Task) -> SDEProblem:
    if task.example is EXAMPLES["derived"]:  # not the text that the others are given, but what the derivation makes
        valley = Valley(VALLEY).to(getattr(torch, task.dtype), task.device)
        return derived_problem(valley, derive(find_rule("sam"), 1, "1/2"), rho=RHO, eta=ETA)
    functions, diagonal = task.functions(torch), task.example.noise == "diagonal"

    def diffusion(t: Tensor, x: Tensor) -> Tensor:
        found: Tensor = functions.diffusion(t, x)
        return torch.diag(found) if diagonal else found

    return SDEProblem(functions.drift, diffusion, noise=task.example.noise)


def _ours(task: Task, statistics: bool, backend: Backend = "compiled") -> Run:
    problem = _problem(task)
    x0 = torch.tensor(task.example.x0, dtype=getattr(torch, task.dtype), device=task.device)
    scheme = {"normal": "euler-maruyama", "two-point": "weak-euler"}[task.increments]
    engine = Engine(backend=backend, progress=False)

    def run(steps: int, seed: int) -> Tensor:
        record = Record() if statistics else Record(every=steps)  # then looked at in the beginning and in the end
        final: Tensor = simulate(
            problem, x0, dt=STEP, steps=steps, paths=task.paths, seed=seed, scheme=scheme, record=record, engine=engine
        ).final
        return final

    return run


@contestant("ours", "eigensam", two_point=True, cuda=True)
def _final_states(task: Task) -> Run:
    return _ours(task, statistics=False)


@contestant("ours-statistics", "eigensam, statistics at 50 times", two_point=True, cuda=True)
def _default(task: Task) -> Run:
    return _ours(task, statistics=True)


def as_it_comes(task: Task) -> Run:
    """With the backend that ``simulate`` chooses, for the time of a first call; it is not timed otherwise."""
    return _ours(task, statistics=True, backend="auto")
