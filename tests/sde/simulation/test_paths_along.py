"""Paths along Brownian paths that are given: exact solutions, coarser steps of the same path, the engine's noise."""

import pytest
import torch

from eigensam.sde.simulation.kernels.draws import Draws, key_of
from eigensam.sde.simulation.paths_along import paths_along
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.scheme import SCHEMES
from eigensam.sde.simulation.simulate import Engine, simulate

from .suite import CASES, vector

FOLLOWING = [name for name, scheme in SCHEMES.items() if scheme.increments == "normal" and not scheme.signs]
FINE, HORIZON, PATHS = 512, 1.0, 200


def increments(columns, steps=FINE, paths=PATHS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(paths, steps, columns, dtype=torch.float64, generator=generator) * (HORIZON / steps) ** 0.5


def coarser(dw, steps):
    return dw.reshape(len(dw), steps, -1, dw.shape[2]).sum(2)


def distance(name, scheme, steps, dw):
    """Mean distance from the solution along the same path at the end."""
    case = CASES[name]
    found = paths_along(case.sde, case.start, coarser(dw, steps), dt=HORIZON / steps, scheme=scheme)
    exact = torch.stack([case.solution(torch.tensor(HORIZON, dtype=torch.float64), w) for w in dw.sum(1)])
    return (found[:, -1] - exact).norm(dim=1).mean().item()


SOLVED = [
    (name, scheme)
    for name in ("L1", "L4", "A2", "T1", "P1", "C1")
    for scheme in FOLLOWING
    if SCHEMES[scheme].calculus == CASES[name].sde.calculus and CASES[name].sde.noise in SCHEMES[scheme].strong_order
]


@pytest.mark.parametrize(("name", "scheme"), SOLVED)
def test_finer_steps_come_closer_to_the_solution(name, scheme):
    """A factor of 16 in the step: of ``16^p`` in the error, up to what 200 paths know; another path is far away."""
    columns = CASES[name].sde.diffusion(torch.zeros(()), CASES[name].start).shape[1]
    dw = increments(columns)
    coarse, fine = (distance(name, scheme, steps, dw) for steps in (16, 256))
    order = SCHEMES[scheme].strong_order[CASES[name].sde.noise]
    assert fine < coarse / 16 ** (order - 0.25)


@pytest.mark.parametrize(("name", "scheme"), [("L1", "euler-maruyama"), ("T1", "heun")])
def test_another_path_does_not_come_closer(name, scheme):
    """Wrong on purpose: increments that are summed in another order are no coarser path of the same noise."""
    dw = increments(1)
    shuffled = dw.flip(0)
    case = CASES[name]
    found = paths_along(case.sde, case.start, coarser(shuffled, 256), dt=1 / 256, scheme=scheme)[:, -1]
    exact = torch.stack([case.solution(torch.ones((), dtype=torch.float64), w) for w in dw.sum(1)])
    assert (found - exact).norm(dim=1).mean() > 10 * distance(name, scheme, 256, dw)


@pytest.mark.parametrize("scheme", FOLLOWING)
def test_the_engine_moves_paths_the_same_way(scheme):
    """Along its own random numbers."""
    kind, h, steps, paths = SCHEMES[scheme], 0.1, 8, 11
    noise = "general" if "general" in kind.weak_order else "diagonal"
    diffusion = {
        "general": lambda t, x: torch.stack([x.cos(), x * x.roll(1), t + x.sin()], 1),
        "diagonal": lambda t, x: torch.diag(x.cos() + t),
    }[noise]
    problem = SDEProblem(lambda t, x: -x.sin() * (1 + t), diffusion, noise, kind.calculus, t0=0.5)
    start = vector(1.0, -0.5)
    draws = Draws("normal", 3 if noise == "general" else 2, 0, torch.float64)
    key, path = key_of(4, torch.device("cpu")), torch.arange(paths)
    groups = [draws.group(key, path, torch.tensor(g)) for g in range(steps // draws.group_steps)]
    dw = torch.stack([torch.stack(step.increments, 1) for group in groups for step in group], 1) * h**0.5
    along = paths_along(problem, start, dw, dt=h, scheme=scheme)
    found = simulate(problem, start, dt=h, steps=steps, paths=paths, seed=4, scheme=scheme, engine=Engine("eager"))
    assert along.shape == (paths, steps + 1, 2)
    assert torch.equal(along[:, 0], start.expand(paths, 2))
    torch.testing.assert_close(found.final, along[:, -1], rtol=1e-12, atol=1e-12)


def test_blocks_and_starts():
    """Momentum without noise on positions; paths that start apart."""
    problem = SDEProblem(
        lambda t, s: {"x": s["m"], "m": -s["x"]}, lambda t, s: {"m": torch.ones_like(s["m"])[:, None]}, "additive"
    )
    start = {"x": torch.tensor([[1.0], [2.0]], dtype=torch.float64), "m": vector(0.0)}
    found = paths_along(problem, start, increments(1, 2, 2), dt=0.5)
    dw = increments(1, 2, 2)[..., 0]
    for i, x in enumerate((1.0, 2.0)):
        x1, m1 = x, -0.5 * x + dw[i, 0]
        torch.testing.assert_close(found["x"][i, :, 0], torch.stack([vector(x)[0], vector(x1)[0], x1 + 0.5 * m1]))
        torch.testing.assert_close(found["m"][i, 1:, 0], torch.stack([m1, m1 - 0.5 * x1 + dw[i, 1]]))
