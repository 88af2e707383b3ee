"""Which examples and which conditions."""

from dataclasses import replace

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import DATA, MODELS, load_data
from eigensam.paper_figures.measurements.control_plan import LAPTOP, QUICK, Condition, Pair, conditions, used_data

TINY = Pair("tiny", "digits", "mlp32", train=120, test=30, batch_size=20)


def _sorted_rows(data):
    return sorted(data.train_inputs.flatten(1).tolist())


def test_the_same_examples_however_classes_are_mixed():
    """A data set whose classes come one after the other, each in the old order."""
    data = load_data("digits")
    order = torch.argsort(data.train_targets, stable=True)
    other = replace(data, train_inputs=data.train_inputs[order], train_targets=data.train_targets[order])
    ours, theirs = used_data(TINY, data), used_data(TINY, other)
    assert torch.equal(ours.train_inputs, theirs.train_inputs)
    assert torch.equal(ours.train_targets, theirs.train_targets)
    assert torch.bincount(ours.train_targets).tolist() == [12] * 10
    first = replace(TINY, train=1420, batch_size=20)
    assert not torch.equal(data.train_inputs[:1420], used_data(first, data).train_inputs)  # wrong on purpose


def test_all_of_them():
    data = load_data("digits")
    pair = replace(TINY, train=0, test=0, batch_size=1)
    assert _sorted_rows(used_data(pair, data)) == _sorted_rows(data)


def test_images_are_pooled():
    used = used_data(replace(TINY, pool=2), load_data("digits"))
    whole = used_data(TINY, load_data("digits"))
    assert used.shape == (1, 4, 4)
    assert used.train_inputs[0, 0, 0, 0] == pytest.approx(float(whole.train_inputs[0, 0, :2, :2].mean()))


def test_refusals():
    data = load_data("digits")
    with pytest.raises(InputError, match="2000 examples are asked for; a part of digits has 1437; ask for less"):
        used_data(replace(TINY, train=2000), data)
    with pytest.raises(InputError, match="120 training examples of tiny are no whole number of minibatches of 50"):
        used_data(replace(TINY, batch_size=50), data)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": 0}, "seeds = 0"),
        ({"seeds": 1.5}, r"seeds = 1\.5"),
        ({"pool": 0}, "pool = 0"),
        ({"looks": 0}, "looks = 0"),
        ({"looks": 31}, "31 looks in 30 epochs"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"train": -5}, "train = -5"),
        ({"test": -1}, "test = -1"),
        ({"rho": float("nan")}, "rho = nan"),
        ({"lr": 0.0}, r"lr = 0\.0"),
        ({"momentum": 1.0}, r"momentum = 1\.0"),
    ],
)
def test_sizes_that_measure_nothing(wrong, message):
    with pytest.raises(InputError, match=rf"tiny: .*{message}.*; give"):
        replace(TINY, **wrong)


def test_squares_that_are_larger_than_images():
    with pytest.raises(InputError, match="have no squares of side pool = 20; lower it"):
        used_data(replace(TINY, pool=20), load_data("digits"))


def test_conditions_have_all_controls():
    found = list(conditions((0.2, 1.0), (1, 10, 20, 100), (20, 100)))
    assert len(found) == len({each.name for each in found}) == 2 + 2 * (4 + 4 + 2 + 2 + 4)
    assert {each.direction for each in found} == {"", "minibatch", "whole", "random"}
    assert {each.normalize for each in found if each.direction == "random"} == {False}


def test_lengths_are_close_to_what_was_measured():
    for length in (1.0, 1.0196, 1.3583, 2**0.5):
        assert Condition.of_length(length).length == pytest.approx(length, rel=2.5e-3)
    assert Condition.of_length(1.0) == Condition("sam")


def test_the_plan_covers_what_was_asked():
    assert len(LAPTOP) >= 4
    assert {pair.data for pair in LAPTOP} == {"digits", "mnist", "cifar10"}
    assert any(pair.model.endswith("-bn") for pair in LAPTOP)
    assert all(pair.seeds >= (8 if pair.data == "digits" else 5) for pair in LAPTOP)
    for pair in (*LAPTOP, *QUICK):
        assert pair.model in MODELS
        assert pair.data in DATA
        assert pair.train % pair.batch_size == 0
    assert {pair.data for pair in QUICK} == {"digits"}
