"""Flat vectors and views."""

import torch

from eigensam.landscapes import flatten, unflatten


def test_round_trip_without_copying():
    x = torch.arange(7.0)
    views = unflatten(x, [torch.Size([2, 3]), torch.Size([])])
    assert flatten(views).equal(x)
    x[0], x[6] = 10.0, 20.0
    assert (views[0][0, 0], views[1]) == (10.0, 20.0)
