"""What is observed is checked before a run: shapes, paths on their own, numbers; then cells become a result."""

import numpy as np
import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.statistics.merge_tree import MergeTree
from eigensam.sde.simulation.statistics.observables import Observable, Recorder

START = torch.tensor([1.0, -2.0], dtype=torch.float64)


def recorder(*functions, **options):
    return Recorder([Observable(f"f{i}", f, **options) for i, f in enumerate(functions)], [0.0, 1.0], START)


GOOD = {  # functions with their numbers of components
    "coordinates": (lambda x: x, 2),
    "one coordinate": (lambda x: x[:, 0], 1),
    "a matrix": (lambda x: x @ torch.arange(6.0, dtype=x.dtype).reshape(2, 3), 3),
    "truth values": (lambda x: x[:, 1] > 0, 1),
    "whole numbers": (lambda x: x.round().long(), 2),
    "not defined everywhere": (lambda x: (x - x.new_tensor([1.0, -2.0])).log(), 2),
    "single precision": (lambda x: x.float().exp(), 2),
    "large": (lambda x: 1e30 * x.exp(), 2),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_that_may_be_observed(name, dtype):
    function, size = GOOD[name]
    found = Recorder([Observable(name, function)], [0.0], START.to(dtype))
    assert found.sizes == {name: size}
    values = found.observe(torch.tensor([[2.0, 3.0]], dtype=dtype))[name]
    assert values.shape == (1, size)
    assert values.dtype == dtype


class Chance:
    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, x):
        return x + torch.rand(x.shape, generator=self.generator, dtype=x.dtype)


BAD = {
    "less its mean": (lambda x: x - x.mean(0), "another value alone than among others"),
    "weak interaction": (lambda x: x * (1 + 1e-2 * x.mean(0)), "another value alone than among others"),
    "sorted": (lambda x: x.sort(0).values, "another value alone than among others"),
    "neighbour": (lambda x: x.roll(1, 0), "another value alone than among others"),
    "chance": (Chance(), "another value alone than among others"),
    "mean over paths": (lambda x: x.mean(0), "the first axis counts paths"),
    "a number": (lambda x: x.sum(), "the first axis counts paths"),
    "three axes": (lambda x: x[:, :, None], "the first axis counts paths"),
    "nothing": (lambda x: x[:, :0], "the first axis counts paths"),
    "squeezed": (lambda x: x[:, 0].squeeze(), "the first axis counts paths"),
    "transposed": (lambda x: x.mT, "the first axis counts paths"),
    "an array": (lambda x: x.numpy(), "gives ndarray; expected a tensor"),
    "complex": (lambda x: x + 1j, "gives torch.complex128; expected a tensor"),
    "in place": (lambda x: x.mul_(2), "changes the states"),
    "in place, silently": (lambda x: (x.abs_(), x[:, 0] * 0)[1], "changes the states"),
    "in place, where it changes nothing": (lambda x: x.clamp_(-1e3, 1e3), "changes the states"),
    "a failure": (lambda x: x[:, 5], "'f.' fails for states of shape .5, 2. .IndexError: "),
    "weak interaction of a small one": (
        lambda x: torch.stack([x[:, 0], 1e-5 * x[:, 1] * (1 + 1e-2 * x[:, 1].mean())], 1),
        "another value alone than among others",
    ),
    "as many as paths": (lambda x: x[:, :1] * torch.ones(len(x), dtype=x.dtype), "components; expected one number"),
}


@pytest.mark.parametrize("name", BAD)
def test_functions_that_may_not(name):
    function, match = BAD[name]
    with pytest.raises(InputError, match=match):
        recorder(function)
    with pytest.raises(InputError, match="'f1'"):
        recorder(lambda x: x, function)


def test_a_function_whose_size_changes_later():
    found = recorder(lambda x: x if x.max() < 100 else x[:, :1])
    with pytest.raises(InputError, match="has 1 components now and had 2 before"):
        found.observe(100 + START.expand(3, 2))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Observable("a/b"), "named 'a/b'"),
        (lambda: Observable(""), "named ''"),
        (lambda: Observable(3), "named 3"),
        (lambda: Observable("x", 3), "of type int"),
        (lambda: Recorder([], [0.0], START), "at least one"),
        (lambda: Recorder([Observable(), Observable()], [0.0], START), "a name of its own"),
        (lambda: Recorder([Observable()], [], START), "no time"),
        (lambda: Recorder([Observable(alpha=2.0)], [0.0], START), "observable 'x': alpha = 2.0 is no relative error"),
        (lambda: Recorder([Observable(edges=[1, 0])], [0.0], START), "observable 'x': the edges"),
        (lambda: Observable(alpha="a"), "observable 'x': alpha = 'a'; give a relative error"),
        (
            lambda: Recorder([Observable(edges="abc")], [0.0], START),
            "observable 'x': the edges of a histogram are 'abc'",
        ),
        (lambda: Recorder([Observable(edges=[[1, 2], [1]])], [0.0], START), "give numbers, as many for each component"),
        (lambda: Recorder([Observable(edges=[[0, 1]])], [0.0], START), r"observable 'x': edges have shape \(1, 2\)"),
    ],
)
def test_bad_options_are_refused_before_the_run(make, match):
    with pytest.raises(InputError, match=match):
        make()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_exploded_path_is_no_number_in_a_mean(bad):
    values = torch.zeros(5, 2, 2)
    values[3, 1, 0] = bad
    match = f"the observable 'f0' of path 4099 at t = 1 is {bad} .component 0.: the observable is not finite there"
    with pytest.raises(InputError, match=match):
        recorder(lambda x: x).of_cell({"f0": values}, first=4096)


@pytest.mark.parametrize("shape", [(5, 2, 1), (5, 2), (5, 1, 2), (5,)])
def test_values_of_another_shape(shape):
    with pytest.raises(InputError, match=r"values of 'f0' have shape .* expected \(paths, 2, 2\)"):
        recorder(lambda x: x).of_cell({"f0": torch.zeros(shape)})


def test_an_empty_cell():
    with pytest.raises(InputError, match="at least one path"):
        recorder(lambda x: x).of_cell({"f0": torch.zeros(0, 2, 2)})


def test_from_states_to_the_result():
    """As an engine does: cells from two processes, out of order, against numpy on all paths."""
    states = torch.randn(1000, 2, 2, dtype=torch.float32, generator=torch.Generator().manual_seed(0))
    observables = [Observable(alpha=0.01, edges=[-1, 0, 1]), Observable("far", lambda x: x.norm(dim=1) > 1)]
    found = Recorder(observables, [0.5, 1.0], torch.zeros(2))
    trees = [MergeTree(), MergeTree()]
    for cell in (3, 1, 2, 0, 4):
        own = states[cell * 220 : (cell + 1) * 220]
        at = [found.observe(own[:, k]) for k in range(2)]
        values = {name: torch.stack([each[name] for each in at], 1) for name in found.sizes}
        trees[cell % 2].add(cell, found.of_cell(values))
    trees[0].merge(trees[1])
    result, truth = trees[0].result(), states.double().numpy()
    x, far = result["x"], result["far"].moments
    assert x.moments.count == 1000
    assert np.allclose(x.moments.mean, truth.mean(0), atol=1e-14)
    assert np.allclose(x.moments.covariance[1], np.cov(truth[:, 1].T), rtol=1e-12)
    median = np.quantile(truth, 0.5, axis=0, method="inverted_cdf")
    assert (abs(x.quantiles.quantile(0.5) - median) <= 0.01 * abs(median)).all()
    assert x.histogram.counts[1, 0].tolist() == np.histogram(truth[:, 1, 0], [-np.inf, -1, 0, 1, np.inf])[0].tolist()
    assert np.allclose(far.mean[:, 0], (np.linalg.norm(truth, axis=-1) > 1).mean(0), rtol=1e-14)


def test_an_observable_is_tried_out_near_starts_that_lie_apart():
    start = torch.zeros(1000, 2, dtype=torch.float64)
    start[700, 1] = 9.0
    mixed = Observable("f", lambda x: torch.where(x[:, 1] > 5, x.sum(), x[:, 0]))
    with pytest.raises(InputError, match="another value alone than among others"):
        Recorder([mixed], [0.0], start)
    assert Recorder([mixed], [0.0], start[:700]).sizes == {"f": 1}


@pytest.mark.parametrize("device", ["meta"])
def test_another_default_device(device):
    torch.set_default_device(device)
    try:
        assert recorder(lambda x: x * 2).sizes == {"f0": 2}
    finally:
        torch.set_default_device(None)
