"""Each refusal of a simulation: what was found, what was expected, how to repair."""

import json
import math
import re

import numpy as np
import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.landscapes import Quadratic
from eigensam.sde import derive, derived_problem, find_rule
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.horizons import whole_steps
from eigensam.sde.simulation.kernels.draws import key_of
from eigensam.sde.simulation.paths_along import paths_along
from eigensam.sde.simulation.problems.calculus import converted
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.scheme import SCHEMES
from eigensam.sde.simulation.simulate import Engine, simulate
from eigensam.sde.simulation.statistics.observables import Observable

from .refusals import BLOCKS, START, drift, refused, run, sde, silent
from .suite import matrix, vector

SETTINGS = {
    "no problem": (lambda: run("sde"), "problem is of type str; expected SDEProblem"),
    "no record": (lambda: run(record="all"), "record is of type str; expected Record"),
    "no engine": (lambda: run(engine="eager"), "engine is of type str; expected Engine"),
    **{
        f"dt {value!r}": (lambda value=value: run(dt=value), r"dt = .*; give a positive number")
        for value in (0, -0.1, math.nan, math.inf, "0.1", True, None)
    },
    **{
        f"{name} {value!r}": (lambda name=name, value=value: run(**{name: value}), f"{name} = .*; give a whole number")
        for name in ("steps", "paths", "chunk")
        for value in (0, -1, 1.5, "3", True, 2**64)
    },
    "too many steps": (lambda: run(steps=2**32), "steps = 4294967296; give a whole number from 1 to 4294967295"),
    "seed": (lambda: run(seed=-1), r"seed -1 is not a whole number from 0 to 2\^63 - 1"),
    "seed of numpy": (lambda: key_of(1.0, torch.device("cpu")), "seed 1.0 is not a whole number"),
    "unknown scheme": (lambda: run(scheme="rk4"), "(?s)rk4.*euler-maruyama"),
    "another calculus": (
        lambda: run(scheme="heun"),
        "solves stratonovich problems with .* found ito with general noise",
    ),
    "another noise": (lambda: run(scheme="milstein"), "solves ito problems with .* found ito with general noise"),
    "backend": (lambda: Engine("fast"), "unknown backend 'fast'; choose one of: auto, compiled, eager"),
    "seconds": (lambda: Engine(seconds=-1), "seconds = -1 between two writes; give a number of at least 0"),
    "no seconds": (lambda: Engine(seconds=math.nan), "seconds = nan between two writes"),
    "every": (lambda: Record(every=0), "every = 0; give a whole number of at least 1"),
    "every as a truth value": (lambda: Record(every=True), "every = True; give a whole number"),
    "trajectories as a truth value": (lambda: Record(trajectories=True), "trajectories = True; give a whole number"),
    "one observable": (lambda: Record(observables=Observable()), "observables are .*; give a list"),
    "functions": (lambda: Record(observables=[drift]), "observables are .*; give a list"),
    "seconds as text": (lambda: Engine(seconds="a"), "seconds = 'a' between two writes; give a number"),
    "a number for a folder": (lambda: Engine(checkpoint=5), "the checkpoint is of type int; give a folder"),
    "half a step": (lambda: Record(every=0.5), "every = 0.5; give"),
    "trajectories": (lambda: Record(trajectories=-1), "trajectories = -1; give a whole number of at least 0"),
    "no observable": (lambda: run(record=Record(observables=())), "observables are named .*; give at least one"),
    "two of one name": (
        lambda: run(record=Record(observables=(Observable(), Observable()))),
        "observables are named .*each a name of its own",
    ),
    "an observable of all paths": (
        lambda: run(record=Record(observables=(Observable("f", lambda x: x - x.mean(0)),))),
        "another value alone than among others",
    ),
    "horizon": (
        lambda: whole_steps(1.0, 0.3),
        r"dt = 0.3 does not divide the horizon = 1, which has 3.33333 of it; use e.g. dt = 0.3333",
    ),
    "short horizon": (
        lambda: whole_steps(0.01, 0.1),
        "does not divide the horizon = 0.01, which has 0.1 of it; use e.g. dt = 0.01",
    ),
    "no horizon": (lambda: whole_steps(math.inf, 0.1), "the horizon = inf is not a positive time; give e.g. 1"),
    "negative step": (lambda: whole_steps(1.0, -0.1), "dt = -0.1 is not a positive time"),
}

STARTS = {
    "a list": ([0.5, -0.5], "the start is of type list; give a tensor"),
    "whole numbers": (torch.tensor([1, 2]), "numbers of type torch.int64; give float32 or float64"),
    "half precision": (START.half(), "numbers of type torch.float16; give float32 or float64"),
    "complex": (START + 0j, "numbers of type torch.complex128"),
    "a number": (torch.tensor(0.5), r"the start has shape \(\); expected \(d,\) or \(20, d\)"),
    "nothing": (torch.zeros(0), r"the start has shape \(0,\)"),
    "too few rows": (torch.zeros(19, 2), r"the start has shape \(19, 2\); expected \(d,\) or \(20, d\)"),
    "three axes": (torch.zeros(20, 2, 1), r"the start has shape \(20, 2, 1\)"),
    "not a number": (vector(0.5, math.nan), "the start holds numbers that are not finite"),
    "infinite, later": (
        torch.cat([matrix((0, 0)).expand(19, 2), matrix((0, math.inf))]),
        "numbers that are not finite",
    ),
    "no blocks": ({}, r"blocks of the start are named \[\]; give names such as 'x' and 'm'"),
    "names of blocks": ({"a b": START}, r"blocks of the start are named \['a b'\]"),
    "types of blocks": ({"x": START, "m": START.float()}, "blocks of the start differ in type or device"),
    "blocks in a block": ({"x": {"y": START}}, "a block of the start holds blocks itself"),
    "sparse": (START.to_sparse(), "the start is stored as torch.sparse_coo; give a dense tensor"),
    "without numbers": (START.to("meta"), "the start has no numbers"),
    "a list in a block": ({"x": [0.5]}, "the start is of type list"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name):
    refused(*SETTINGS[name])


@pytest.mark.parametrize("name", STARTS)
def test_starts(name):
    start, match = STARTS[name]
    refused(lambda: run(start=start), match)


def test_conversions():
    problem = sde(batched=True)
    refused(lambda: converted(problem, "stratonovich"), "a problem for batches cannot be converted")
    blocks = converted(sde(lambda t, s: s, lambda t, s: s), "stratonovich")
    refused(lambda: run(blocks, BLOCKS, scheme="heun"), "a problem with a state of blocks cannot be converted")


def test_derived_problems():
    landscape, right = Quadratic([[2.0]], centres=[[0.0], [1.0]]), derive(find_rule("sgd"), 2, 1)
    values = {"rho": 0.1, "eta": 0.5}
    refused(lambda: derived_problem(landscape, "sgd", **values), "found str; expected an SDE: derive")
    for name, value in (("eta", 0.0), ("eta", math.nan), ("rho", -1.0)):
        refused(lambda changed={**values, name: value}: derived_problem(landscape, right, **changed), "give a positive")
    refused(lambda: derived_problem(landscape, right, root="svd", **values), "unknown root 'svd'; choose one of")
    problem = derived_problem(landscape, right, **values)
    refused(lambda: run(problem, torch.ones(1)), "the start has torch.float32 on cpu, the landscape torch.float64")


ALONG = {
    "two-point": (
        lambda: along(scheme="weak-euler"),
        "'weak-euler' follows no Brownian path; choose one of: .*milstein",
    ),
    "signs": (lambda: along(scheme="platen"), "'platen' follows no Brownian path"),
    "unknown": (lambda: along(scheme="rk4"), "(?s)rk4.*euler-maruyama"),
    "another kind": (lambda: along(scheme="milstein"), "found ito with general noise"),
    "no tensor": (lambda: along([[0.1]]), r"increments are list; give a tensor of shape \(paths, steps, m\)"),
    "two axes": (lambda: along(torch.zeros(3, 2)), r"increments are \(3, 2\)"),
    "no step": (lambda: along(torch.zeros(3, 0, 2)), r"increments are \(3, 0, 2\)"),
    "columns": (lambda: along(torch.zeros(3, 4, 1, dtype=START.dtype)), r"shape \(3, 4, 1\), .* expected \(3, 4, 2\)"),
    "type": (lambda: along(torch.zeros(3, 4, 2)), "torch.float32 on cpu; expected"),
    "no problem": (lambda: paths_along(5, START, torch.zeros(1, 1, 1), dt=0.1), "problem is of type int; expected SDE"),
    "dt as text": (lambda: along(dt="a"), "dt = 'a'; give a positive number"),
    "not finite": (
        lambda: along(torch.zeros(3, 4, 2, dtype=START.dtype).index_fill(1, torch.tensor([2]), math.nan)),
        "increment 0 of path 0 in step 2 is not finite",
    ),
    "dependent on numbers": (
        lambda: along(problem=sde(lambda t, x: -x if x[0] > 0 else x)),
        "no step can be taken of all paths together .RuntimeError",
    ),
    "rare chance": (
        lambda: along(problem=sde(lambda t, x: torch.nn.functional.dropout(x, 1e-9))),
        "no step can be taken of all paths together .RuntimeError",
    ),
    "explosion": (
        lambda: along(start=matrix((0, 0), (90, 0), (90, 0)), problem=sde(lambda t, x: -(x**9))),
        r"2 of 3 paths .66.7 %. leave the finite numbers in step \d, the first is path 1; take smaller steps",
    ),
    "dt": (lambda: along(dt=0), "dt = 0; give a positive number"),
    "start": (lambda: along(start=torch.zeros(4, 2, dtype=START.dtype)), r"the start has shape \(4, 2\)"),
}


def along(increments=None, start=START, dt=0.1, scheme="euler-maruyama", problem=None):
    increments = torch.zeros(3, 4, 2, dtype=START.dtype) if increments is None else increments
    return paths_along(problem or sde(), start, increments, dt=dt, scheme=scheme)


@pytest.mark.parametrize("name", ALONG)
def test_paths_along(name):
    refused(*ALONG[name])


def test_what_was_not_observed():
    refused(lambda: run().observed("y"), "'y' was not observed; choose one of: x")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_impossible_pairs_are_refused_before_anything_is_computed(scheme):
    kind = SCHEMES[scheme]
    other = "stratonovich" if kind.calculus == "ito" else "ito"
    refused(lambda: run(sde(silent, calculus=other), scheme=scheme), f"the scheme '{scheme}' solves {kind.calculus}")


# paths that explode


def cubic(t, x):
    """Euler's scheme leaves the finite numbers where ``x^2 > 2 / h``."""
    return -(x**3)


def test_exploding_paths_are_reported(tmp_path):
    """With how many, when, and which; cells before are kept."""
    start = torch.ones(10_000, 1, dtype=torch.float64)
    start[[9000, 9001, 9100]] = 9.0
    one = SDEProblem(cubic, lambda t, x: torch.ones_like(x)[:, None], "additive")
    record, settings = Record(every=5), {"dt": 0.1, "steps": 20, "paths": 10_000, "chunk": 4096}
    with pytest.raises(InputError) as found:
        simulate(one, start, record=record, engine=Engine("eager", checkpoint=tmp_path, seconds=0), **settings)
    match = re.search(
        r"(\d+) of (\d+) paths so far \((.*) %\) left the finite numbers between t = (\S+) and (\S+),", str(found.value)
    )
    lost, seen, share, before, after = match.groups()
    assert int(lost) == 3
    assert float(share) == pytest.approx(100 * 3 / int(seen), rel=0.1)
    assert 9100 < int(seen) <= 10_000
    assert (float(before), float(after)) == (0.5, 1.0)
    assert "the first is path 9000; a mean over the others would be wrong: take smaller steps" in str(found.value)
    assert '"done": 4096' in (tmp_path / "part-0" / "simulation.json").read_text()


def test_observables_without_a_value_are_reported():
    """With the cell: which of its paths, at which look, which component."""
    start = torch.zeros(5000, 2, dtype=torch.float64)
    start[4099, 1] = -1.0
    record = Record(every=4, observables=(Observable("root", lambda x: x.sqrt()),))
    still = SDEProblem(lambda t, x: 0 * x, None)
    match = r"the observable 'root' of path 4099 at t = 0 is nan \(component 1\): the observable is not finite there"
    refused(lambda: run(still, start, paths=5000, record=record), match)


def test_paths_that_come_back_have_not_exploded():
    one = SDEProblem(cubic, None)
    found = simulate(one, vector(3.0), dt=0.1, steps=20, paths=10, engine=Engine("eager"))
    assert found.final.isfinite().all()


def test_numbers_of_numpy_are_the_same_run():
    right = run(paths=20, dt=0.5, seed=3)
    found = run(paths=np.int64(20), dt=np.float32(0.5), seed=np.int64(3), steps=np.int32(4))
    assert torch.equal(found.final, right.final)
    assert (type(found.paths), type(found.dt), type(found.seed)) == (int, float, int)
    assert Record(every=np.int64(2)) == Record(every=2)


def test_statistics_are_json_where_there_is_no_number():
    """At the start all paths are the same: there is no skewness; of few paths, quantiles have no bounds."""
    found = run(record=Record(observables=(Observable(alpha=0.01),))).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["observables"]["x"]["skewness"][0] == [None, None]
    assert found["observables"]["x"]["quantiles"]["0.05"]["low"][1] == [None, None]
