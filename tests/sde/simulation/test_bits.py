"""Chunks, looks and kinds of calls change no bit of states and statistics."""

import numpy as np
import pytest
import torch

from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.kernels import point_step
from eigensam.sde.simulation.kernels.draws import Draws
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.scheme import SCHEMES
from eigensam.sde.simulation.simulate import Engine, simulate
from eigensam.sde.simulation.statistics.observables import Observable

EAGER = Engine("eager")
STATES = (Observable(),)
OBSERVED = (
    *STATES,
    Observable("radius", lambda x: x.norm(dim=1), alpha=0.01, edges=np.linspace(0, 4, 9)),
    Observable("distances", lambda x: torch.cdist(x[:, :2], torch.ones(3, 2, dtype=x.dtype))),
)


def pulled(t, x):
    """Towards 0, by something like a gradient at a perturbed point, and around it."""
    g = x + 0.3 * x.sin() + torch.stack([-x[1], x[0]])
    return -(x + 0.1 * g / (g.norm() + 0.1)) * (1 + 0.1 * t)


def mixing(t, x):
    return torch.stack([0.3 + 0.1 * x.sin(), 0.2 * x.cos().flip(0)], 1)


def sorted_pull(t, x):
    """Has no code in components."""
    return -x.sort().values + 0.1 * pulled(t, x)


MATRIX = torch.randn(10, 10, generator=torch.Generator().manual_seed(0))


def by_matrix(t, x):
    return -x + 0.1 * (MATRIX.to(x.dtype) @ x.tanh())


def sorted_by_matrix(t, x):
    return by_matrix(t, x.sort().values)


TEN = torch.linspace(-1, 1, 10)
PROBLEMS = {
    "components": (SDEProblem(pulled, mixing), torch.tensor([1.0, -0.5])),
    "batches": (SDEProblem(sorted_pull, mixing), torch.tensor([1.0, -0.5])),
    "matrix": (SDEProblem(by_matrix, lambda t, x: 0.1 * torch.ones_like(x)[:, None]), TEN),
    "matrix in batches": (SDEProblem(sorted_by_matrix, lambda t, x: 0.1 * x[:, None]), TEN),
}


def bits(found):
    """Everything that must be the same."""
    arrays = {name: np.asarray(each) for name, each in found.statistics.to_arrays().items()}
    return {**arrays, "final": found.final.numpy(), "trajectories": found.trajectories.numpy()}


def same(a, b):
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


def run(name, dtype, chunk=None, paths=4500, steps=4, observables=OBSERVED, **options):
    problem, start = PROBLEMS[name]
    record = Record(every=2, observables=observables, trajectories=9)
    settings = {"dt": 0.1, "steps": steps, "paths": paths, "seed": 1, "record": record, "engine": EAGER, **options}
    return simulate(problem, start.to(dtype), chunk=chunk, **settings)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", PROBLEMS)
def test_chunks(name, dtype):
    """Two cells of statistics; chunks that end in the middle of one, and before its end."""
    whole = bits(run(name, dtype, observables=STATES))
    for chunk in (7, 100, 512, 1000, 4500):
        assert same(bits(run(name, dtype, chunk, observables=STATES)), whole), chunk
    fewer = run(name, dtype, 100, paths=1000, observables=STATES)
    assert (
        fewer.final.numpy().tobytes() == whole["final"][:1000].tobytes()
    )  # a path knows nothing of how many there are


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chunks_of_what_is_observed(dtype):
    """Also by functions that a library computes in another way for few points."""
    whole = bits(run("components", dtype))
    assert all(same(bits(run("components", dtype, chunk)), whole) for chunk in (7, 100, 1000))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_looks_and_calls(scheme):
    """As many steps in a call as fit between looks: 1, 3, 7 or 21, in and across groups of steps."""
    kind = SCHEMES[scheme]
    noise = "diagonal" if "general" not in kind.weak_order else "general"
    diffusion = mixing if noise == "general" else lambda t, x: torch.diag(0.3 + 0.1 * x.sin())
    problem = SDEProblem(pulled, diffusion, noise, kind.calculus)
    found = [
        simulate(
            problem,
            torch.tensor([1.0, -0.5]),
            dt=0.1,
            steps=21,
            paths=40,
            scheme=scheme,
            record=Record(every=every, trajectories=40),
            engine=EAGER,
        )
        for every in (1, 3, 7, 21, None)
    ]
    assert [len(each.times) for each in found] == [22, 8, 4, 2, len(found[-1].times)]
    assert all(torch.equal(each.final, found[0].final) for each in found)
    every = found[0].trajectories  # of all paths, at all steps
    assert torch.equal(found[1].trajectories, every[:, ::3])
    assert torch.equal(found[2].trajectories, every[:, ::7])
    assert torch.equal(found[0].final, every[:, -1])


def test_seeds_and_paths_are_different():
    found = run("components", torch.float64)
    other = run("components", torch.float64, seed=2)
    assert len(found.final[:, 0].unique()) == 4500
    assert len(torch.cat([found.final[:, 0], other.final[:, 0]]).unique()) == 9000


def test_statistics_are_those_of_the_states():
    """By numpy from all trajectories."""
    found = simulate(
        PROBLEMS["components"][0],
        torch.tensor([1.0, -0.5], dtype=torch.float64),
        dt=0.1,
        steps=5,
        paths=5000,
        record=Record(every=2, trajectories=5000, observables=OBSERVED),
        engine=EAGER,
    )
    states = found.trajectories.numpy()
    assert found.times.tolist() == pytest.approx([0, 0.2, 0.4, 0.5])
    np.testing.assert_allclose(found.mean, states.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, states.var(0, ddof=1), rtol=1e-10, atol=1e-28)
    np.testing.assert_allclose(found.covariance[-1], np.cov(states[:, -1].T), rtol=1e-10)
    radius = np.linalg.norm(states, axis=-1)
    observed = found.observed("radius")
    np.testing.assert_allclose(observed.moments.mean[:, 0], radius.mean(0), rtol=1e-12)
    counts = [np.histogram(radius[:, k], np.linspace(0, 4, 9))[0] for k in range(4)]
    densities = observed.histogram.densities(0.95).value
    np.testing.assert_allclose(densities[:, 0], np.array(counts) / 5000 / 0.5, rtol=1e-12)
    median = observed.quantiles.quantile_intervals(0.5, 0.95).value[:, 0]
    np.testing.assert_allclose(median, np.median(radius, 0), rtol=0.02)


def test_nothing_is_kept_that_was_not_asked_for():
    found = run("components", torch.float64, record=Record(final=False))
    assert found.final is None
    assert found.trajectories is None
    assert found.statistics["x"].moments.count == 4500


def test_trajectories_of_more_paths_than_a_chunk_and_than_there_are():
    found = run("components", torch.float32, 16, paths=40, record=Record(every=1, trajectories=60))
    assert found.trajectories.shape == (40, 5, 2)
    assert torch.equal(found.trajectories[:, -1], found.final)


def test_wrong_on_purpose(monkeypatch):
    """Numbers that belong to a place in a chunk, and no longer to a path."""

    class OfPlaces(Draws):
        def group(self, key, path, group):
            return super().group(key, path - path[0], group)

    monkeypatch.setattr(point_step, "Draws", OfPlaces)
    whole, parts = (bits(run("components", torch.float64, chunk, 1000, observables=STATES)) for chunk in (None, 100))
    assert not same(parts, whole)
