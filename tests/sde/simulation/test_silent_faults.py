"""What once gave wrong numbers without a word: each is right now, or refused."""

import pytest
import torch
from torch import nn

from eigensam.ground.errors import InputError
from eigensam.ground.fingerprints import fingerprint
from eigensam.landscapes import Quadratic
from eigensam.sde import (
    Engine,
    Observable,
    Record,
    SDEProblem,
    covariance_problem,
    derive,
    derived_problem,
    find_rule,
    simulate,
)
from eigensam.sde.simulation.problems.covariance_problem import row_root, semidefinite_root
from eigensam.sde.simulation.statistics.merge_tree import MergeTree
from eigensam.sde.simulation.statistics.moments import Moments

EAGER = Engine(backend="eager")
DECAY = SDEProblem(lambda t, x: -x, lambda t, x: torch.ones(len(x), 1, dtype=x.dtype), "additive")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_roots_keep_components_of_all_sizes(dtype):
    """Against the product in double precision, each entry relative to its own variances; none is lost."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        d, rank = (int(torch.randint(1, 6, (), generator=generator)) for _ in range(2))
        columns = torch.randn(d, rank, generator=generator, dtype=torch.float64)
        columns = (columns * 10 ** (4 * torch.rand(d, 1, generator=generator, dtype=torch.float64) - 2)).to(dtype)
        right = columns.double() @ columns.double().mT
        size = torch.outer(right.diagonal(), right.diagonal()).sqrt()
        roots = {row_root(columns): 1e-5, semidefinite_root(right.to(dtype)): 1e-2}
        for root, loose in roots.items():
            loose = loose if dtype == torch.float32 else loose * 1e-5
            assert bool(((root.double() @ root.double().mT - right).abs() <= loose * size).all())


def test_noise_of_a_small_component_is_there():
    problem = covariance_problem(lambda t, x: -x, lambda t, x: torch.diag(torch.tensor([1e6, 5e-7], dtype=x.dtype)))
    found = simulate(problem, torch.zeros(2), dt=0.1, steps=10, paths=4000)
    assert found.variance[-1, 1] == pytest.approx(
        2.2e-7, rel=0.1
    )  # of Euler's scheme: 5e-7 * 0.1 * (1 - 0.81^10) / 0.19


@pytest.mark.parametrize("root", ["minibatches", "coordinates"])
def test_both_roots_of_a_badly_scaled_landscape(root):
    f = Quadratic([[1e3, 0.0], [0.0, 1.0]], centres=[[1.0, 1e-3], [-1.0, -1e-3]]).to(torch.float32)
    problem = derived_problem(f, derive(find_rule("sgd"), 1, 1), rho=0.0, eta=1e-4, root=root)
    g = problem.diffusion(torch.zeros(()), torch.tensor([0.0, 0.0])).double()
    assert (g @ g.mT).diagonal().tolist() == pytest.approx([1e-4 * 1e6, 1e-4 * 1e-6], rel=1e-5)


MATRICES = [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]]]


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_matrix_without_a_root_has_none(matrix):
    assert bool(semidefinite_root(torch.tensor(matrix)).isnan().any())


class StoppedError(Exception):
    """Stands for a Ctrl-C."""


@pytest.mark.parametrize("calls", range(1, 7))
def test_an_interrupt_between_two_lines(tmp_path, monkeypatch, calls):
    """A merge that is cut off leaves the tree, and so the checkpoint, as it was."""
    merge, left = Moments.merge, [calls]

    def cut(self, other):
        left[0] -= 1
        if not left[0]:
            raise StoppedError
        return merge(self, other)

    def run(**engine):
        return simulate(DECAY, torch.zeros(2), dt=0.1, steps=2, paths=28_677, chunk=4096, engine=Engine(**engine))

    monkeypatch.setattr(Moments, "merge", cut)
    with pytest.raises(StoppedError):
        run(checkpoint=tmp_path, seconds=0.0)
    monkeypatch.setattr(Moments, "merge", merge)
    again, whole = run(checkpoint=tmp_path), run()
    assert again.observed().moments.count == 28_677
    assert again.mean.tolist() == whole.mean.tolist()
    assert torch.equal(again.final, whole.final)


def test_a_tree_is_whole_after_a_merge_that_failed():
    tree = MergeTree()
    tree.add(0, Moments.of([[1.0]]))
    with pytest.raises(InputError):
        tree.add(1, Moments.of([[1.0, 2.0]]))
    assert len(tree) == 1
    tree.add(1, Moments.of([[3.0]]))
    assert tree.result().mean.tolist() == [2.0]


FUNCTIONS = {
    "sigmoid": torch.sigmoid,
    "silu": nn.functional.silu,
    "power": lambda x: x.abs() ** 2.5,
    "angle": lambda x: torch.atan2(x, x.flip(0)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("chunk", [7, 16, 100])
def test_functions_that_a_vector_computes_otherwise_than_a_number(name, chunk):
    problem = SDEProblem(lambda t, x: FUNCTIONS[name](x) - x, lambda t, x: 0.7 * torch.eye(2))
    start, settings = torch.tensor([0.3, 0.5]), {"dt": 0.01, "steps": 20, "paths": 1000, "engine": EAGER}
    whole, parts = (simulate(problem, start, chunk=each, **settings).final for each in (None, chunk))
    assert torch.equal(whole, parts)


def test_the_backend_follows_from_the_work_alone():
    """Eager however small the chunks and however many the looks."""
    for chunk, every in ((16, None), (None, 1), (100, 7)):
        found = simulate(DECAY, torch.zeros(2), dt=0.1, steps=100, paths=1000, chunk=chunk, record=Record(every=every))
        assert found.backend == "eager"
        assert found.how == simulate(DECAY, torch.zeros(2), dt=0.1, steps=100, paths=1000).how


def test_autocast_does_not_round_the_noise():
    plain = simulate(DECAY, torch.zeros(2), dt=0.1, steps=5, paths=10)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(simulate(DECAY, torch.zeros(2), dt=0.1, steps=5, paths=10).final, plain.final)


def test_a_drift_that_changes_after_it_was_recorded_is_seen_in_short_steps():
    calls = [0]

    def drift(t, x):
        calls[0] += isinstance(x, torch._subclasses.FakeTensor)
        return x * (50.0 if calls[0] else 1.0) if not isinstance(x, torch._subclasses.FakeTensor) else x * 1.0

    with pytest.raises(InputError, match="recorded, a step gives"):
        simulate(SDEProblem(drift, None), torch.ones(2), dt=1e-5, steps=3, paths=3)


def test_times_that_float32_cannot_tell_apart():
    moved = SDEProblem(lambda t, x: torch.cos(t) + 0 * x, None, t0=1e6)
    with pytest.raises(InputError, match=r"too far for steps of 0.01; start at t0 = 0, or in float64"):
        simulate(moved, torch.zeros(1), dt=0.01, steps=10, paths=2)
    assert simulate(moved, torch.zeros(1).double(), dt=0.01, steps=10, paths=2).paths == 2
    still = SDEProblem(lambda t, x: -x, None, t0=1e6)  # sees no time
    assert simulate(still, torch.zeros(1), dt=0.01, steps=10, paths=2).paths == 2


def test_attributes_of_a_module_count():
    """A slope is no parameter, and yet another function."""
    assert fingerprint(nn.LeakyReLU(0.1)) != fingerprint(nn.LeakyReLU(5.0))
    assert fingerprint(nn.Sequential(nn.LeakyReLU(0.1))) != fingerprint(nn.Sequential(nn.LeakyReLU(5.0)))
    assert fingerprint(nn.LeakyReLU(0.1)) == fingerprint(nn.LeakyReLU(0.1))


def test_a_checkpoint_of_another_slope(tmp_path):
    def run(slope):
        record = Record(observables=[Observable("y", nn.LeakyReLU(slope))])
        engine = Engine(checkpoint=tmp_path)
        return simulate(DECAY, torch.full((2,), 5.0), dt=0.1, steps=5, paths=10, record=record, engine=engine)

    run(0.1)
    with pytest.raises(InputError, match="differs in observables"):
        run(5.0)


def test_looks_that_memory_does_not_hold():
    with pytest.raises(InputError, match=r"100001 looks at 2 components take about .* GiB"):
        simulate(DECAY, torch.zeros(2), dt=1e-3, steps=100_000, paths=10, record=Record(every=1))


def test_a_step_that_would_take_minutes_to_record():
    wide = SDEProblem(lambda t, x: -x, lambda t, x: torch.ones(2, 65))
    with pytest.raises(InputError, match="2080 signs and 131 diffusions; take at most 64"):
        simulate(wide, torch.zeros(2), dt=0.1, steps=1, paths=1, scheme="platen")


def test_another_default_device():
    plain = simulate(DECAY, torch.zeros(2), dt=0.1, steps=5, paths=10)
    with torch.device("meta"):
        found = simulate(DECAY, torch.zeros(2, device="cpu"), dt=0.1, steps=5, paths=10)
    assert torch.equal(found.final, plain.final)


def test_threads_count_where_a_library_multiplies(tmp_path):
    """Its products add in another order; split code does not ask a library."""
    solved = SDEProblem(lambda t, x: torch.linalg.solve(torch.eye(2) + torch.outer(x, x), -x), None)

    def run(problem, folder):
        return simulate(problem, torch.ones(2), dt=0.1, steps=2, paths=10, engine=Engine("eager", checkpoint=folder))

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        run(solved, tmp_path / "batches")
        run(DECAY, tmp_path / "components")
        torch.set_num_threads(2)
        with pytest.raises(InputError, match="differs in threads"):
            run(solved, tmp_path / "batches")
        assert run(DECAY, tmp_path / "components").path_steps == 0
    finally:
        torch.set_num_threads(before)


def test_paths_that_were_not_counted(monkeypatch):
    """Whatever loses a cell: the mean of the others is not given for that of all."""
    add = MergeTree.add
    monkeypatch.setattr(MergeTree, "add", lambda self, cell, found: add(self, cell, found) if cell != 1 else None)
    with pytest.raises(RuntimeError, match=r"\[8192\] paths were counted where 12288 were asked for"):
        simulate(DECAY, torch.zeros(2), dt=0.1, steps=2, paths=12_288)
