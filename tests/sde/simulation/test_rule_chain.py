"""The rule itself as an ensemble: beside a plain loop, exact enumeration and closed forms; and coupled to its SDE."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde.derivation.derived_sde import truncate
from eigensam.sde.rules.finding import find_rule
from eigensam.sde.simulation.ensembles.ensemble import Ensemble
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.kernels.draws import Draws, key_of
from eigensam.sde.simulation.problems import rule_chain as module
from eigensam.sde.simulation.problems.chain_problem import ChainProblem
from eigensam.sde.simulation.problems.coefficients import exact_increments
from eigensam.sde.simulation.problems.derived_problem import derived_problem
from eigensam.sde.simulation.problems.minibatch_laws import drawn_minibatch
from eigensam.sde.simulation.problems.rule_chain import rule_chain
from eigensam.sde.simulation.simulate import Engine, simulate
from eigensam.sde.simulation.statistics.observables import Observable

from .refusals import refused

RHO, ETA, SEED = 0.2, 0.125, 2**40 + 3
SAMPLINGS = ("independent", "reshuffled")
TORUS = TiltedTorus.default(2)
START = torch.tensor([0.3, -0.4], dtype=torch.float64)
VALUES = {"eigen-sam": {"alpha": 0.3, "v": torch.tensor([0.6, 0.8], dtype=torch.float64)}}
LOOSE = {torch.float32: 2e-5, torch.float64: 1e-12}
BOUND = 5.0  # standard deviations: one comparison fails by accident once in 1.7e6
EAGER = Engine("eager")


def moved(chain, start=START, steps=7, paths=5, **settings):
    return simulate(chain, start, dt=ETA, steps=steps, paths=paths, **{"seed": SEED, "engine": EAGER, **settings})


def numbers_of(paths, steps, size, dtype, substeps=1):
    """The engine's normal numbers, drawn one by one, shape ``(paths, steps, M)``."""
    draws, result = Draws("normal", size, 0, dtype), torch.empty(paths, steps * substeps, size, dtype=dtype)
    for k in range(steps * substeps):
        group = draws.group(key_of(SEED, START.device), torch.arange(paths), torch.tensor(k // draws.group_steps))
        result[:, k] = torch.stack(group[k % draws.group_steps].increments, 1)
    return result.unflatten(1, (steps, substeps)).sum(2) / substeps**0.5


def minibatches_of(numbers, sampling):
    """By Python's own ``max``, shape ``(paths, steps)``."""
    result = []
    for path in numbers.tolist():
        chosen, left = [], []
        for z in path:
            left = left or list(range(len(z)))
            best = max(left, key=lambda m, z=z: z[m])
            chosen.append(best)
            if sampling == "reshuffled":
                left.remove(best)
        result.append(chosen)
    return result


def loop(f, rule, start, minibatches, values=None):
    """States at all steps, shape ``(paths, steps + 1, d)``."""
    result = []
    for path in minibatches:
        x = start
        result.append([x])
        for m in path:
            x = x + ETA * exact_increments(f, rule, x, RHO, values)[m]
            result[-1].append(x)
    return torch.stack([torch.stack(each) for each in result])


@pytest.mark.parametrize("dtype", LOOSE)
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("name", ["sgd", "sam", "usam", "dnsam", "eigen-sam"])
def test_every_path_at_every_step(name, sampling, dtype):
    """A plain loop takes the minibatch of the largest number that an SDE of the same seed would be kicked by."""
    f, rule = TORUS.to(dtype), find_rule(name)
    values = VALUES.get(name)
    chain = rule_chain(f, rule, rho=RHO, eta=ETA, values=values, sampling=sampling)
    found = moved(chain, START.to(dtype), record=Record(every=1, trajectories=5))
    chosen = minibatches_of(numbers_of(5, 7, f.size, dtype), sampling)
    expected = loop(f, rule, START.to(dtype), chosen, values)
    torch.testing.assert_close(found.trajectories, expected, rtol=LOOSE[dtype], atol=LOOSE[dtype])
    assert found.final.shape == (5, 2)
    assert found.mean.shape == (8, 2)
    assert found.scheme == "the chain itself"


@pytest.mark.parametrize("dtype", LOOSE)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("substeps", [2, 3, 4])
def test_substeps_take_normalised_sums(size, substeps, dtype):
    """Whatever the groups in which numbers are drawn, in calls of any length."""
    draws, fine = Draws("normal", size, 0, dtype, substeps), Draws("normal", size, 0, dtype)
    key, path, steps = key_of(SEED, START.device), torch.arange(5), draws.group_steps
    assert steps & (steps - 1) == 0
    assert draws.blocks * fine.group_steps == fine.blocks * steps * substeps
    found = [torch.stack(draw.increments, 1) for g in (0, 1) for draw in draws.group(key, path, torch.tensor(g))]
    expected = numbers_of(5, 2 * steps, size, dtype, substeps)
    torch.testing.assert_close(torch.stack(found, 1), expected, rtol=1e-6, atol=1e-6)


def test_a_compiled_chain():
    """With all that there is: without replacement, substeps, from one block of numbers to the next."""
    chain = rule_chain(TORUS, find_rule("sam"), rho=RHO, eta=ETA, sampling="reshuffled", substeps=3)
    settings = {"steps": 4, "paths": 40, "record": Record(every=2, trajectories=40)}
    compiled, eager = (moved(chain, **settings, engine=Engine(each)) for each in ("compiled", "eager"))
    assert (compiled.backend, eager.backend) == ("compiled", "eager")
    torch.testing.assert_close(compiled.trajectories, eager.trajectories, rtol=1e-12, atol=1e-12)
    expected = loop(TORUS, find_rule("sam"), START, minibatches_of(numbers_of(40, 4, 3, START.dtype, 3), "reshuffled"))
    torch.testing.assert_close(compiled.final, expected[:, -1], rtol=1e-12, atol=1e-12)


# laws


def moments(f, rule, steps, sampling):
    """Exact mean and covariance after some steps from ``START``: of all sequences of minibatches."""
    kinds = itertools.product(range(f.size), repeat=steps)
    every = list(kinds if sampling == "independent" else itertools.permutations(range(f.size), steps))
    ends = loop(f, rule, START, every)[:, -1].numpy()
    return ends.mean(0), np.cov(ends.T, ddof=0)


def deviation(found, expected, spread, paths):
    """In standard deviations, at most over components."""
    return float(np.max(np.abs(found - expected) / (spread / paths**0.5)))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_moments_are_those_of_all_sequences(steps):
    """And those of the other sampling, from the second step on, they are not."""
    f, rule, paths = TORUS, find_rule("sam"), 40_000
    for sampling, other in (SAMPLINGS, SAMPLINGS[::-1]):
        found = moved(rule_chain(f, rule, rho=RHO, eta=ETA, sampling=sampling), steps=steps, paths=paths)
        mean, covariance = moments(f, rule, steps, sampling)
        spread = np.sqrt(np.diag(covariance))
        assert deviation(found.mean[-1], mean, spread, paths) < BOUND
        excess = np.abs(found.variance[-1] / np.diag(covariance) - 1).max()
        assert excess < BOUND * (2 / paths) ** 0.5  # bounded noise: fewer than the normal law's fourth moments
        if steps > 1:
            wrong = np.diag(moments(f, rule, steps, other)[1])
            assert np.abs(found.variance[-1] / wrong - 1).max() > 10 * (2 / paths) ** 0.5


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_quadratic_in_closed_form(sampling):
    """``x+ = (1 - eta a) x + eta a c_m``: independent noise sums up; of a whole epoch only its order counts."""
    a, centres, x0, steps, paths = 2.0, np.array([-1.0, 0.5, 2.0]), 1.5, 9, 40_000
    f = Quadratic([[a]], centres=centres[:, None].tolist())
    chain = rule_chain(f, find_rule("sgd"), rho=0.0, eta=ETA, sampling=sampling)
    found = moved(chain, torch.tensor([x0], dtype=torch.float64), steps=steps, paths=paths)
    q, variance = 1 - ETA * a, centres.var()
    powers = q ** np.arange(steps)[::-1]
    mean = q**steps * x0 + (1 - q**steps) * centres.mean()
    if sampling == "independent":
        within = (powers**2).sum()
    else:  # in an epoch of 3 two different steps have the covariance -variance / 2
        within = sum((p**2).sum() - (p.sum() ** 2 - (p**2).sum()) / 2 for p in powers.reshape(3, 3))
    exact = (ETA * a) ** 2 * variance * within
    assert deviation(found.mean[-1], mean, exact**0.5, paths) < BOUND
    assert abs(found.variance[-1, 0] / exact - 1) < BOUND * (2 / paths) ** 0.5


COUNTERS = Quadratic(torch.zeros(1, 4, 4, dtype=torch.float64).expand(4, -1, -1), centres=torch.zeros(4, 4))


class Counting(Quadratic):
    """Minibatch ``m`` moves coordinate ``m`` by -1 times the learning rate: states count."""

    def contracted_gradients(self, x, terms):
        return torch.eye(4, dtype=x.dtype).expand(*x.shape[:-2], 4, 4)


def orders(paths=24_000, steps=8):
    """Minibatches of all steps, shape ``(paths, steps)``."""
    f = Counting(COUNTERS.hessian, COUNTERS.centres)
    chain = rule_chain(f, find_rule("sgd"), rho=0.0, eta=ETA, sampling="reshuffled")
    record = Record(every=1, trajectories=paths)
    found = moved(chain, torch.zeros(4, dtype=torch.float64), steps=steps, paths=paths, record=record)
    return (found.trajectories.diff(dim=1) / -ETA).argmax(2)


def unlikely(chosen):
    """Whether the orders of the first epoch, or of pairs of minibatches across its end, are not uniform."""
    paths, bad = len(chosen), False
    for code, cells in ((chosen[:, :4], 24), (chosen[:, 4:8], 24), (chosen[:, 3:5], 16)):
        _, counts = code.unique(dim=0, return_counts=True)
        padded = torch.cat([counts.double(), torch.zeros(max(0, cells - len(counts)), dtype=torch.float64)])
        statistic = float(((padded - paths / cells) ** 2).sum() / (paths / cells))
        bad |= statistic > chi2.isf(1e-6, cells - 1)
    return bad


def test_each_epoch_uses_each_minibatch_once_in_any_order(monkeypatch):
    chosen = orders()
    for epoch in chosen.split(4, 1):
        assert bool((epoch.sort(1).values == torch.arange(4)).all())
    assert not unlikely(chosen)

    def biased(scores):  # a little more often the first
        return drawn_minibatch(scores + 0.1 * torch.tensor([1.0, 0, 0, 0], dtype=scores.dtype))

    monkeypatch.setattr(module, "drawn_minibatch", biased)
    assert unlikely(orders())


def test_an_order_that_is_kept_for_all_epochs_is_found():
    """Each epoch's is uniform; what it is not is independent of the one before."""
    chosen = orders()
    assert unlikely(torch.cat([chosen[:, :4], chosen[:, :4]], 1))


@pytest.mark.parametrize("dtype", LOOSE)
def test_one_minibatch_whatever_is_equal(dtype):
    """Of equal numbers the first, and of all that are left."""
    rows = [[1.0, 1.0, 1.0], [0.0, 2.0, 2.0], [-torch.inf, -1.0, -1.0], [-0.0, 0.0, -1.0]]
    found = torch.stack([drawn_minibatch(torch.tensor(row, dtype=dtype)) for row in rows])
    assert found.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("dtype", LOOSE)
def test_ties_in_the_engine(dtype):
    """Numbers that are cut off are often equal; a step counts in one place all the same, mostly the first of them."""
    chain = ChainProblem(lambda t, x, z: x + drawn_minibatch(z.clamp(-0.1, 0.1)), 3)
    found = moved(chain, torch.zeros(3, dtype=dtype), steps=8, paths=2000)
    assert bool((found.final.sum(1) == 8).all())
    assert bool((found.final == found.final.round()).all())
    share = found.final.mean(0) / 8
    above = 0.46  # of a normal number above 0.1
    assert share[0] > above > share[1] > share[2] > 0.05


# coupling


def kick_correlation(size):
    """Of one step of both, exactly: ``sqrt(M) E max_m z_m / (M - 1)``."""
    z = torch.randn(400_000, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return size**0.5 / (size - 1) * float(z.amax(1).mean())


@pytest.mark.parametrize(("substeps", "wrong"), [(1, 4), (4, 1)])
def test_the_rule_is_coupled_to_its_sde(substeps, wrong):
    """By the same path's noise, as closely as theory says; with the noise of other times, hardly."""
    f, rule, paths = TORUS, find_rule("sam"), 4000
    problem = derived_problem(f, truncate(rule, "1/2", 2), rho=RHO, eta=ETA)
    fine = {"dt": ETA / substeps, "steps": 7 * substeps, "seed": SEED, "scheme": "splitting", "engine": EAGER}
    sde_ends = simulate(problem, START, paths=paths, **fine).final

    def ratio(c):
        """Of standard deviations of the difference, to those of independent paths."""
        ends = moved(rule_chain(f, rule, rho=RHO, eta=ETA, substeps=c), paths=paths).final
        coupled, apart = ((ends - other).var(0).sum() ** 0.5 for other in (sde_ends, sde_ends.roll(1, 0)))
        return float(coupled / apart)

    exact = (1 - kick_correlation(3)) ** 0.5
    assert exact == pytest.approx(0.517, abs=0.002)
    assert ratio(substeps) == pytest.approx(exact, abs=0.03)
    assert ratio(wrong) > exact + 0.2


# the engine


def test_memory_is_seen_by_nobody():
    chain = rule_chain(TORUS, find_rule("sam"), rho=RHO, eta=ETA, sampling="reshuffled")
    seen = []

    def norm(states):
        seen.append(states.shape[1])
        return states.norm(dim=1)

    record = Record(observables=(Observable(), Observable("norm", norm)), trajectories=3)
    starts = START + torch.linspace(0, 1, 5, dtype=START.dtype)[:, None]
    found = moved(chain, starts, record=record)
    assert set(seen) == {2}
    assert (found.final.shape, found.trajectories.shape, found.labels["x"]) == ((5, 2), (3, 8, 2), ["x[0]", "x[1]"])
    alone = moved(chain, starts[:2], paths=2)
    assert torch.equal(alone.final, found.final[:2])


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_chain_that_is_killed_goes_on(tmp_path, monkeypatch, sampling):
    chain = rule_chain(TORUS, find_rule("sam"), rho=RHO, eta=ETA, sampling=sampling)
    settings = {"paths": 9000, "steps": 4, "chunk": 3000, "record": Record(trajectories=9000)}
    whole = moved(chain, **settings)
    right, left = Ensemble._chunk, [2]

    def stopped(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return right(*arguments)

    engine = Engine("eager", checkpoint=tmp_path, seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr(Ensemble, "_chunk", stopped)
        with pytest.raises(KeyboardInterrupt):
            moved(chain, **settings, engine=engine)
    found = moved(chain, **settings, engine=engine)
    assert found.path_steps == 4 * (9000 - 4096)
    assert torch.equal(found.final, whole.final)
    assert torch.equal(found.trajectories, whole.trajectories)
    other = rule_chain(TORUS, find_rule("sam"), rho=RHO, eta=ETA, sampling=sampling, substeps=2)
    refused(lambda: moved(other, **settings, engine=engine), "holds another run, which differs in numbers")
    other = rule_chain(TORUS, find_rule("sam"), rho=RHO / 2, eta=ETA, sampling=sampling)
    refused(lambda: moved(other, **settings, engine=engine), "holds another run, which differs in the step")


def test_one_minibatch_has_no_noise():
    f = Quadratic([[2.0]], centres=[[1.0]])
    for sampling in SAMPLINGS:
        found = moved(rule_chain(f, find_rule("sgd"), rho=0.0, eta=ETA, sampling=sampling), torch.zeros(1).double())
        assert found.final.flatten().tolist() == pytest.approx([1 - (1 - 2 * ETA) ** 7] * 5, rel=1e-14)


def test_another_minibatch_may_be_infinite():
    """Only the drawn one counts: paths that do not draw the other stay finite."""

    class Half(Quadratic):
        def contracted_gradients(self, x, terms):
            right = super().contracted_gradients(x, terms)
            return torch.where((x > 100)[..., :1, :] & (torch.arange(2)[:, None] == 1), torch.inf, right)

    f = Half([[[1.0]], [[-900.0]]], centres=[[0.0], [0.0]])
    chain = rule_chain(f, find_rule("sgd"), rho=0.0, eta=ETA)
    start = torch.ones(1, dtype=torch.float64)
    refused(lambda: moved(chain, start, paths=200, steps=9), "of 200 paths so far .* left the finite numbers")
    chosen = torch.tensor(minibatches_of(numbers_of(200, 2, 2, START.dtype), "independent"))
    found = moved(chain, start, paths=200, steps=1).final
    assert bool((found[chosen[:, 0] == 1] > 100).all())
    only = next(i for i, row in enumerate(chosen.tolist()) if row == [1, 0])
    assert math.isfinite(loop(f, find_rule("sgd"), start, [chosen[only].tolist()])[0, -1])
    assert sum(row == [1, 1] for row in chosen.tolist()) > 20  # who would be infinite


# what is refused

SAM = find_rule("sam")
BAD = {
    "a rule by name": (lambda: rule_chain(TORUS, "sam", rho=0.1, eta=ETA), "found str; expected a rule"),
    "eta": (lambda: rule_chain(TORUS, SAM, rho=0.1, eta=0.0), "give a positive learning rate and a radius"),
    "eta nan": (lambda: rule_chain(TORUS, SAM, rho=0.1, eta=math.nan), "eta = nan; give a positive learning rate"),
    "rho": (lambda: rule_chain(TORUS, SAM, rho=-0.1, eta=ETA), "give a positive learning rate and a radius"),
    "sampling": (lambda: rule_chain(TORUS, SAM, rho=0.1, eta=ETA, sampling="shuffled"), "unknown sampling 'shuffled'"),
    "substeps": (lambda: rule_chain(TORUS, SAM, rho=0.1, eta=ETA, substeps=0), "substeps = 0; give a whole number"),
    "unbound": (lambda: rule_chain(TORUS, find_rule("eigen-sam"), rho=0.1, eta=ETA), "the symbol alpha is unbound"),
    "unknown": (lambda: rule_chain(TORUS, SAM, rho=0.1, eta=ETA, values={"beta": 1.0}), "has no symbol beta"),
    "another time": (
        lambda: simulate(rule_chain(TORUS, SAM, rho=0.1, eta=ETA), START, dt=0.1, steps=3, paths=2),
        r"dt = 0.1, but a step of this chain takes the time 0.125; give dt=0.125",
    ),
    "a scheme": (
        lambda: moved(rule_chain(TORUS, SAM, rho=0.1, eta=ETA), scheme="splitting"),
        "scheme = 'splitting': a chain has a step of its own",
    ),
    "another type": (
        lambda: moved(rule_chain(TORUS, SAM, rho=0.1, eta=ETA), START.float()),
        "the start has torch.float32 on cpu, the landscape torch.float64",
    ),
    "steps that have no numbers": (
        lambda: moved(rule_chain(TORUS, SAM, rho=0.1, eta=ETA, substeps=1024), steps=2**31),
        "steps times substeps = 2199023255552; give a whole number",
    ),
    "explosion": (
        lambda: moved(rule_chain(Quadratic([[1e3]], [[0.0], [1.0]]), SAM, rho=0.1, eta=ETA), START[:1], steps=400),
        r"5 of 5 paths so far \(1e\+02 %\) left the finite numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, match = BAD[name]
    refused(call, match)
