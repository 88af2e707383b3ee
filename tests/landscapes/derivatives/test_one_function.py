"""Buffers stay put in every evaluation but the first; random numbers are replayed, of all three libraries."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from eigensam.landscapes.derivatives.live_buffers import BufferValues, find_buffers, live_modules
from eigensam.landscapes.derivatives.one_function import OneFunction, RandomState


class _Replacing(nn.Module):
    """A running mean that is assigned, not changed in place; and one that did not exist before."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("later", None)

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        self.later = x.detach().sum() if self.later is None else self.later + x.detach().sum()
        return x - self.mean


def _model(momentum=0.1):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.BatchNorm1d(3, momentum=momentum),
        _Replacing(),
        parametrizations.spectral_norm(nn.Linear(3, 4)),
        nn.utils.spectral_norm(nn.Linear(4, 2)),
        nn.BatchNorm1d(2, track_running_stats=False),
    )


@pytest.mark.parametrize("momentum", [0.1, None])
def test_buffers_stay_put_and_backward_works(momentum):
    model, x = _model(momentum), torch.randn(5, 3)
    model(x)
    find_buffers()
    before, buffers = copy.deepcopy(model.state_dict()), list(model.buffers())
    function = OneFunction([])
    kept = []
    for shift in (1, 2):
        with function.again():
            kept.append(model(x + shift).sum())
    sum(kept).backward()  # graphs outlive the context
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert all(a is b for a, b in zip(model.buffers(), buffers, strict=True))
    model(x + 5)  # and move again outside
    for name in ("0.running_mean", "1.mean", "1.later", "2.parametrizations.weight.0._u", "3.weight_u"):
        assert not torch.equal(model.state_dict()[name], before[name]), name


def test_every_evaluation_sees_the_buffers_of_the_beginning():
    """Where the output depends on them: a spectral norm's iterate, a mean that is subtracted."""
    model, x = _model(), torch.randn(5, 3)
    model(x)
    find_buffers()
    function = OneFunction([])
    first = model(x)  # moves them
    for _ in range(2):
        with function.again():
            assert torch.equal(model(x), first)
    assert not torch.equal(model(x), first)  # a second move of its own gives another output


def test_a_buffer_that_appears_in_the_first_evaluation():
    """It cannot be put back to what it was not; it must at least not move twice."""
    model, x = _Replacing(), torch.ones(2, 3)
    find_buffers()
    function = OneFunction([])
    model(x)
    with function.again():
        model(x)
    assert model.later == 6


def test_modules_made_later_are_known():
    find_buffers()
    norm = nn.BatchNorm1d(2)
    values = BufferValues()
    with values.standing_in():
        norm(torch.randn(4, 2))
    assert norm.num_batches_tracked == 0
    assert norm in set(live_modules())


def test_modules_are_not_kept_alive():
    norm = nn.BatchNorm1d(2)
    find_buffers()
    name = id(norm)
    del norm
    assert name not in {id(module) for module in live_modules()}


def test_an_exception_restores_too():
    norm = nn.BatchNorm1d(2)
    find_buffers()
    with pytest.raises(ZeroDivisionError), BufferValues().standing_in():  # noqa: PT012
        norm(torch.randn(4, 2))
        raise ZeroDivisionError
    assert norm.num_batches_tracked == 0
    norm(torch.randn(4, 2))
    assert norm.num_batches_tracked == 1


def _draw():
    return torch.rand(3).tolist(), np.random.standard_normal(3).tolist(), random.random()  # noqa: NPY002


@pytest.mark.parametrize("spare", [False, True])
def test_random_numbers_are_replayed(spare):
    """With numpy's spare normal number, too, which its words do not show."""
    np.random.seed(3)  # noqa: NPY002
    if spare:
        np.random.standard_normal()  # noqa: NPY002
    RandomState([])  # remembers the words
    if spare:
        np.random.standard_normal()  # noqa: NPY002 (takes the spare one; the words stay)
    state = RandomState([])
    assert not state.moved()
    first, second = _draw(), _draw()
    assert state.moved()
    state.restore()
    assert not state.moved()
    assert (_draw(), _draw()) == (first, second)
    state.restore()
    assert _draw() == first
    assert first != second


@pytest.mark.parametrize("draw", [lambda: torch.rand(1), lambda: np.random.rand(), random.random])  # noqa: NPY002
def test_each_library_counts(draw):
    state = RandomState([])
    draw()
    assert state.moved()


def test_another_generator_of_numpy():
    """Numpy lets people exchange its global generator; its state is then asked for each time."""
    before = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(1))
        state = RandomState([])
        first = np.random.rand(2)  # noqa: NPY002
        state.restore()
        assert np.array_equal(np.random.rand(2), first)  # noqa: NPY002
    finally:
        np.random.set_bit_generator(before)
