"""Statistics stay put inside the context; random numbers are replayed."""

import copy

import pytest
import torch
from torch import nn

from eigensam.landscapes.derivatives.one_function import RandomState, frozen_statistics


@pytest.mark.parametrize("momentum", [0.1, None])
def test_statistics_stay_put_and_backward_works(momentum):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.BatchNorm1d(3, momentum=momentum), nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False)
    )
    x = torch.randn(5, 3)
    model(x)
    before = copy.deepcopy(model.state_dict())
    buffers = list(model.buffers())
    with frozen_statistics():
        model(x + 1).sum().backward()
        model(x + 2).sum().backward()
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert all(a is b for a, b in zip(model.buffers(), buffers, strict=True))
    model(x + 5)  # and move again outside
    assert not torch.equal(model.state_dict()["0.running_mean"], before["0.running_mean"])


def test_an_exception_restores_too():
    norm = nn.BatchNorm1d(2)
    with pytest.raises(ZeroDivisionError), frozen_statistics():  # noqa: PT012
        norm(torch.randn(4, 2))
        raise ZeroDivisionError
    assert norm.num_batches_tracked == 0
    norm(torch.randn(4, 2))
    assert norm.num_batches_tracked == 1


def test_random_numbers_are_replayed():
    state = RandomState(torch.device("cpu"))
    first = torch.rand(3)
    state.restore()
    assert torch.equal(torch.rand(3), first)
