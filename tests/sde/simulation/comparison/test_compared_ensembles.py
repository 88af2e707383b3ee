"""A rule beside its SDEs: what each process is, that one noise drives all, and what is refused."""

import json
import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde.derivation.derived_sde import truncate
from eigensam.sde.rules.finding import find_rule
from eigensam.sde.simulation.comparison import compared_ensembles as module
from eigensam.sde.simulation.comparison.compare_settings import CompareSettings
from eigensam.sde.simulation.comparison.compared_ensembles import compared_ensembles, landscape_observables
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.problems.derived_problem import derived_problem
from eigensam.sde.simulation.problems.rule_chain import rule_chain
from eigensam.sde.simulation.simulate import Engine, simulate
from eigensam.sde.simulation.statistics.observables import Observable

TORUS, SAM, SGD = TiltedTorus.default(2), find_rule("sam"), find_rule("sgd")
START = torch.tensor([0.3, 0.4], dtype=torch.float64)
SDES = {f"drift order {k}": truncate(SAM, "1/3", k) for k in (1, 2)}
FIRST = {"first": truncate(SAM, "1/3", 1)}
SETTINGS = CompareSettings(rho=0.2, eta=0.1, steps=7, paths=60, seed=5, looks=3, exact_drift=False)
EAGER = Engine("eager")


def compared(settings=SETTINGS, rule=SAM, sdes=FIRST, landscape=TORUS, start=START, **options):
    return compared_ensembles(rule, sdes, landscape, start, settings, **{"engine": EAGER, **options})


@pytest.fixture(scope="module")
def found():
    return compared(replace(SETTINGS, exact_drift=True, flows=True, substeps=2, sampling="reshuffled"), sdes=SDES)


def test_processes(found):
    names = ["drift order 1", "drift order 2", "exact drift"]
    assert found.rule.name == "sam"
    assert [each.name for each in found.others] == [*names, *(f"flow of {name}" for name in names)]
    assert [each.paths for each in found.others] == [60, 60, 60, 1, 1, 1]
    for each in (found.rule, *found.others):
        assert each.times == pytest.approx([0, 0.3, 0.6, 0.7], abs=1e-15)
        assert list(each.values) == ["loss", "gradient norm", "norm", "x[0]", "x[1]"]
    assert found.state_times == pytest.approx([0.3, 0.6, 0.7])  # those next to thirds of 0.7, and the end
    assert found.states.keys() == {"sam", *(each.name for each in found.others)}
    assert found.states["sam"].shape == (60, 3, 2)
    told = json.loads(json.dumps(found.about))
    assert (told["rule"], told["start"], told["sampling"], told["substeps"]) == ("sam", [0.3, 0.4], "reshuffled", 2)


def test_each_is_what_simulate_gives(found):
    """The same paths, their observables counted by the engine; states at their times."""
    observed = [Observable(name, function) for name, function in landscape_observables(TORUS).items()]
    chain = rule_chain(TORUS, SAM, rho=0.2, eta=0.1, sampling="reshuffled", substeps=2)
    sde = derived_problem(TORUS, SDES["drift order 2"], rho=0.2, eta=0.1)
    settings = {"paths": 60, "seed": 5, "engine": EAGER}
    runs = [
        (found.rule, simulate(chain, START, dt=0.1, steps=7, record=Record(3, observed, 60), **settings)),
        (
            found.others[1],
            simulate(sde, START, dt=0.05, steps=14, scheme="splitting", record=Record(6, observed, 60), **settings),
        ),
    ]
    for series, run in runs:
        for name, values in series.values.items():
            np.testing.assert_allclose(values, run.traces[name][..., 0], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(values.mean(0), run.observed(name).moments.mean[:, 0], rtol=1e-11, atol=1e-12)
        assert found.states[series.name].tolist() == run.trajectories[:, [1, 2, 3]].tolist()


# one noise


def spread(found, other=None):
    """Of differences at the end, path by path, to those of independent paths."""
    a, b = found.rule.values["x[0]"][:, -1], (other or found).others[0].values["x[0]"][:, -1]
    return np.std(a - b) / np.std(a - np.roll(b, 1))


def test_paths_are_driven_by_the_same_noise():
    """As closely as one step allows, ``sqrt(1 - 0.733)`` for three minibatches; with other seeds not at all."""
    settings = replace(SETTINGS, paths=3000)
    right = compared(settings)
    assert spread(right) == pytest.approx(0.517, abs=0.04)
    assert spread(right, compared(replace(settings, seed=6))) == pytest.approx(1, abs=0.04)


def test_starts_of_paths():
    """Each process and each flow from its own."""
    starts = START + torch.linspace(0, 1, 60, dtype=torch.float64)[:, None]
    found = compared(replace(SETTINGS, flows=True), start=starts)
    assert all(each.paths == 60 for each in found.others)
    assert all(each.values["x[0]"][:, 0].tolist() == starts[:, 0].tolist() for each in (found.rule, *found.others))
    alone = compared(replace(SETTINGS, flows=True), start=starts[7])
    assert found.others[1].values["loss"][7] == pytest.approx(alone.others[1].values["loss"][0], rel=1e-12)


# closed forms


def test_a_quadratic():
    """SGD's means and variances, exactly: the rule's, the SDE's and the flow's of ``f = a/2 E (x - c)^2``."""
    a, centres, eta, steps, paths = 2.0, np.array([-1.0, 0.5, 2.0]), 0.1, 10, 20_000
    f = Quadratic([[a]], centres=centres[:, None].tolist())
    settings = CompareSettings(
        rho=0.0, eta=eta, steps=steps, paths=paths, looks=5, substeps=4, exact_drift=True, flows=True
    )
    first = {"first": truncate(SGD, "1/2", 1)}
    found = compared(settings, SGD, first, f, torch.tensor([1.5], dtype=torch.float64))
    t, q = found.rule.times, 1 - eta * a
    k = np.rint(t / eta)
    exact = {  # factors of the deviation at the start, and variances of the noise
        "sgd": (q**k, (eta * a) ** 2 * (1 - q ** (2 * k)) / (1 - q * q)),
        "first": (np.exp(-a * t), eta * a / 2 * (1 - np.exp(-2 * a * t))),
        "flow of first": (np.exp(-a * t), 0 * t),
    }
    exact["exact drift"] = exact["first"]  # nothing is truncated: SGD's increments have no rho
    for series in (found.rule, *found.others[:3]):
        factor, noise = exact[series.name]
        mean, variance = centres.mean() + factor * (1.5 - centres.mean()), centres.var() * noise
        loss = a / 2 * (variance + (mean - centres.mean()) ** 2 + centres.var())
        x = series.values["x[0]"]
        band = 5 * np.sqrt(variance / paths) + 1e-6  # the substeps' own error
        assert (np.abs(x.mean(0) - mean) <= band).all()
        assert (np.abs(x.var(0) - variance) <= 5 * variance * (2 / paths) ** 0.5 + 1e-5).all()
        deviation = series.values["loss"].std(0)
        assert (np.abs(series.values["loss"].mean(0) - loss) <= 5 * deviation / paths**0.5 + 1e-5).all()
    np.testing.assert_allclose(found.others[0].values["x[0]"], found.others[1].values["x[0]"], rtol=1e-12)
    rule = exact["sgd"]
    assert abs(found.others[0].values["x[0]"].mean(0)[1] - centres.mean() - rule[0][1] * 1.0) > 0.01  # not each other's


# the rest


def test_own_observables_and_many_dimensions():
    f = Quadratic.random(4, size=3)
    start = torch.ones(4, dtype=torch.float64)
    found = compared(landscape=f, start=start, observables={"last": lambda x: x[:, 3], "high": lambda x: x[:, 3] > 1})
    assert list(found.rule.values) == ["last", "high"]
    assert set(found.rule.values["high"].flatten()) <= {0.0, 1.0}
    assert (found.states, len(found.state_times)) == ({}, 0)
    assert list(landscape_observables(f)) == ["loss", "gradient norm", "norm"]


def test_a_kill_in_the_second_process(tmp_path, monkeypatch):
    """The first is read again, the rest computed; other settings are refused."""
    engine = Engine("eager", checkpoint=tmp_path)
    right, calls = module.simulate, []

    def counted(*arguments, **settings):
        calls.append(right(*arguments, **settings))
        if len(calls) == stop:
            raise KeyboardInterrupt
        return calls[-1]

    settings = replace(SETTINGS, exact_drift=True)
    whole = compared(settings)
    monkeypatch.setattr(module, "simulate", counted)
    stop = 2
    with pytest.raises(KeyboardInterrupt):
        compared(settings, engine=engine)
    calls, stop = [], -1
    again = compared(settings, engine=engine)
    assert [each.path_steps for each in calls] == [0, 0, 7 * 60]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["exact drift", "first", "sam"]
    for a, b in zip((whole.rule, *whole.others), (again.rule, *again.others), strict=True):
        assert all(np.array_equal(a.values[name], b.values[name]) for name in a.values)
    with pytest.raises(InputError, match=r"^sam: .* holds another run, which differs in seed"):
        compared(replace(settings, seed=6), engine=engine)


def test_state_times():
    found = compared(replace(SETTINGS, state_times=[0.0, np.float32(0.6)]))
    assert found.state_times == pytest.approx([0, 0.6])
    assert found.states["sam"][:, 0].tolist() == [START.tolist()] * 60
    assert CompareSettings(rho=0, eta=1, steps=1).state_looks() == [0, 1]


STEEP = Quadratic([[100.0, 0.0], [0.0, 1.0]], centres=[[0.0, 0.0], [1.0, 1.0]])
MANY = replace(SETTINGS, paths=10**8)
BAD = {
    "an SDE of another rule": (lambda: compared(sdes={"a": truncate(SGD, "1/2", 1)}), "the SDE 'a' is of the rule sgd"),
    "a name that is taken": (lambda: compared(sdes={"sam": FIRST["first"]}), "processes are named sam, sam;"),
    "a rule by name": (lambda: compared(rule="sam"), "derive it of the rule that is compared"),
    "SDEs in a list": (lambda: compared(sdes=[FIRST["first"]]), "SDEs are of type list; give them by name"),
    "nothing": (lambda: compared(sdes={}), "there is nothing to compare the rule with; give an SDE, or exact_drift"),
    "settings": (lambda: compared({"eta": 0.1}), "settings are of type dict; expected CompareSettings"),
    "no SDE": (lambda: compared(sdes={"a": 1.0}), "'a' is of type float; expected an SDE"),
    "paths that do not fit": (
        lambda: compared(MANY),
        r"100000000 paths of 2 processes at 4 looks take .* take at most",
    ),
    "several components": (
        lambda: compared(observables={"x": lambda x: x}),
        "the observable 'x' has 2 components; give one observable for each",
    ),
    "an observable of chance": (
        lambda: compared(observables={"x": lambda x: torch.rand(len(x))}),
        "gives a path another value alone than among others",
    ),
    "a value that is not finite": (
        lambda: compared(observables={"log": lambda x: torch.where(x[:, 0] < 0.2, torch.nan, x[:, 0])}),
        "sam: 'log' of path .* is nan at t = ",
    ),
    "an unbound symbol": (
        lambda: compared(rule=find_rule("eigen-sam"), sdes={"a": truncate(find_rule("eigen-sam"), "1/2", 1)}),
        "the symbol alpha is unbound",
    ),
    "another type": (lambda: compared(start=START.float()), "the start has torch.float32 on cpu, the landscape"),
    "blocks": (lambda: compared(start={"x": START}), "the start has blocks x; give one tensor"),
    "another dimension": (lambda: compared(start=START[:1]), r"expected \(2,\)"),
    "an explosion": (
        lambda: compared(replace(SETTINGS, steps=800), landscape=STEEP),
        "^sam: 60 of 60 paths .* left the finite numbers",
    ),
    "eta": (lambda: replace(SETTINGS, eta=0.0), "eta = 0.0 and rho = 0.2; give a positive"),
    "rho": (lambda: replace(SETTINGS, rho=math.nan), "rho = nan; give a radius"),
    "negative rho": (lambda: replace(SETTINGS, rho=-1.0), "and no rho below 0"),
    "steps": (lambda: replace(SETTINGS, steps=0), "steps = 0; give a whole number"),
    "looks": (lambda: replace(SETTINGS, looks=2.5), "looks = 2.5; give a whole number"),
    "sampling": (lambda: replace(SETTINGS, sampling="both"), "unknown sampling 'both'; choose one of: independent"),
    "a time that is no look": (lambda: replace(SETTINGS, state_times=[0.5]), "0.5, which is no look; the next .* 0.6"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, match = BAD[name]
    with pytest.raises(InputError, match=match) as error:
        call()
    assert "\n" not in str(error.value)


def test_single_precision_tells_no_two_ways_to_one_sde_apart():
    """On a quadratic USAM's drift of order 2 is all of it. Wrong on purpose: without room for rounding."""
    usam = find_rule("usam")
    f = Quadratic([[2.0, 0.3], [0.3, 1.0]], centres=[[0.0, 0.0], [1.0, 0.5], [0.3, -1.0]]).to(torch.float32)
    sdes = {f"drift order {m}": truncate(usam, "1/2", m) for m in (2, 3)}
    settings = CompareSettings(rho=0.3, eta=0.1, steps=20, paths=500)
    found = compared_ensembles(usam, sdes, f, torch.tensor([1.5, 0.5]), settings, engine=EAGER)
    assert {found.closest(name) for name in found.observables} == {None}
    wrong = replace(found, rounding=0.0)
    pairs = combinations([each.name for each in found.others], 2)
    assert any(wrong.contrast(a, b, name).sign for a, b in pairs for name in found.observables)
