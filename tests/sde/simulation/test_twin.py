"""The engine beside a slow twin: paths one by one, steps one by one, by the scheme's own function of one point."""

import pytest
import torch

from eigensam.sde.simulation.ensembles.looks import Record, looks_of
from eigensam.sde.simulation.horizons import whole_steps
from eigensam.sde.simulation.kernels.draws import Draws, key_of
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.problems.state import start_of
from eigensam.sde.simulation.scheme import SCHEMES
from eigensam.sde.simulation.simulate import Engine, simulate

H, STEPS, PATHS, T0 = 0.1, 9, 4, 0.25
SIZES = [((1, 1), torch.float64), ((2, 2), torch.float32), ((3, 1), torch.float32), ((2, 4), torch.float64)]
"""Of the state and of the noise."""
LOOSE = {torch.float32: 2e-5, torch.float64: 1e-12}


def problem_of(d, m, noise, calculus):
    """Smooth, of numbers of no symmetry."""
    generator = torch.Generator().manual_seed(10 * d + m)
    a, b, c = (torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in ((d, d), (d, m), (d, m)))

    def drift(t, x):
        return (a.to(x.dtype) @ x).tanh() - x * (1 + t)

    def general(t, x):
        return (b.to(x.dtype) + t) * (1 + (c.to(x.dtype) * x[:, None]).sin() / 4)

    def diagonal(t, x):
        return torch.diag((b[:, 0].to(x.dtype) + t) * (1 + x.sin() / 4))

    return SDEProblem(drift, general if noise == "general" else diagonal, noise, calculus, t0=T0)


def twin(problem, start, scheme, noise_dim, seed):
    """States at all steps, shape ``(paths, steps + 1, d)``."""
    kind, dtype = SCHEMES[scheme], start.dtype
    draws = Draws(kind.increments, noise_dim, kind.sign_count(noise_dim), dtype)
    result = []
    for path in range(PATHS):
        x, found = start, [start]
        for k in range(STEPS):
            numbers = draws.group(key_of(seed, x.device), torch.tensor([path]), torch.tensor(k // draws.group_steps))
            increments, signs = (torch.cat(each) if each else x.new_zeros(0) for each in numbers[k % draws.group_steps])
            t = torch.tensor(T0 + k * H, dtype=dtype)
            x = kind.step(problem, t, x, H, increments * H**0.5, signs)
            found.append(x)
        result.append(torch.stack(found))
    return torch.stack(result)


@pytest.mark.parametrize(("size", "dtype"), SIZES, ids=str)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_path_at_every_step(scheme, size, dtype):
    d, m = size
    kind = SCHEMES[scheme]
    noise = "general" if "general" in kind.weak_order else "diagonal"
    m = m if noise == "general" else d
    problem = problem_of(d, m, noise, kind.calculus)
    start = torch.linspace(-1, 1, d, dtype=dtype)
    record = Record(every=1, trajectories=PATHS)
    settings = {"dt": H, "steps": STEPS, "paths": PATHS, "seed": 2**40 + 3, "scheme": scheme}
    found = simulate(problem, start, record=record, engine=Engine("eager"), **settings)
    expected = twin(problem, start, scheme, m, 2**40 + 3)
    torch.testing.assert_close(found.trajectories, expected, rtol=LOOSE[dtype], atol=LOOSE[dtype])
    assert found.times.tolist() == pytest.approx([T0 + k * H for k in range(STEPS + 1)])


@pytest.mark.parametrize(
    ("steps", "every", "size"), [(1, None, 1), (7, 3, 4), (7, 100, 2), (50, None, 4), (5000, None, 8)]
)
def test_looks(steps, every, size):
    """From the start to the end, at most about 50 where it is left open, between groups of steps."""
    found = looks_of(Record(every), steps, size)
    assert found[0] == 0
    assert found[-1] == steps
    assert found == sorted(set(found))
    if every is not None:
        assert found[:-1] == list(range(0, steps, every))
    else:
        assert len(found) <= 52
        assert steps < 50 * size or all(look % size == 0 for look in found[:-1])


def test_horizons():
    for dt in (0.1, 0.01, 1e-3, 0.3, 1 / 3, 0.7):
        for count in (1, 3, 7, 1000, 12345):
            assert whole_steps(dt * count, dt) == count


def test_starts_of_paths():
    rows = torch.arange(10.0).reshape(5, 2)
    start = start_of(rows, 5)
    assert start.of_paths(1, 3).tolist() == rows[1:4].T.tolist()
    assert start.of_paths(3, 4).tolist() == rows[[3, 4, 4, 4]].T.tolist()  # beyond the last path that of the last
    blocks = start_of({"x": rows, "m": torch.tensor([7.0])}, 5)
    assert blocks.points.tolist() == torch.cat([rows, torch.full((5, 1), 7.0)], 1).tolist()
    assert {name: each.shape for name, each in blocks.structured(blocks.points).items()} == {"x": (5, 2), "m": (5, 1)}
    assert torch.equal(start_of(rows[0].requires_grad_(), 5).points, rows[0])
    assert not start_of(rows[0].clone().requires_grad_(), 5).points.requires_grad
