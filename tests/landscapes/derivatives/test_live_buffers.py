"""Modules are found wherever the interpreter keeps them."""

import gc

import pytest
import torch
from torch import nn

from eigensam.landscapes.derivatives.live_buffers import BufferValues, find_buffers, live_modules


@pytest.fixture(autouse=True)
def few_objects():
    """All that there are, here."""
    gc.unfreeze()


def test_modules_that_the_garbage_collector_has_frozen_are_found():
    """Long trainings freeze what they have, to fork workers or to save time; statistics moved twice then."""
    norm = nn.BatchNorm1d(2)
    gc.freeze()
    try:
        assert any(module is norm for module in live_modules())
        assert gc.get_freeze_count() > 0  # as before
    finally:
        gc.unfreeze()


class _Queue(nn.Module):
    """A large buffer that moves in every forward pass, as a queue of keys."""

    def __init__(self, moves=True):
        super().__init__()
        self.register_buffer("keys", torch.zeros(300, 300))
        self.moves = moves

    def forward(self, x):
        if self.moves:
            self.keys.add_(1.0)
        return x


def _step(module):
    """A first pass and two further ones."""
    before = BufferValues()
    module(1)
    for _ in range(2):
        with before.standing_in():
            module(1)
    return before


def test_large_buffers_that_move_do_so_once_a_step():
    queue = _Queue()
    find_buffers()
    for _ in range(4):
        _step(queue)
    assert queue.keys.unique().tolist() == [4.0]


def test_large_buffers_that_do_not_move_are_not_copied():
    """But for the first time: somebody's frozen weights would cost more than the pass."""
    table = _Queue(moves=False)
    find_buffers()
    held = [sum(module is table for module, *_ in _step(table)._values) for _ in range(3)]
    assert held == [1, 0, 0]
    table.keys.add_(1.0)  # somebody else's doing, between two steps
    held = [sum(module is table for module, *_ in _step(table)._values) for _ in range(2)]
    assert held == [1, 1]


def test_a_large_buffer_that_begins_to_move_later_is_learnt_of():
    queue = _Queue(moves=False)
    find_buffers()
    for _ in range(3):
        _step(queue)
    queue.moves = True
    _step(queue)  # moves in all three passes
    assert queue.keys.unique().tolist() == [3.0]
    _step(queue)
    _step(queue)
    assert queue.keys.unique().tolist() == [5.0]
