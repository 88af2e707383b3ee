"""Modules are found wherever the interpreter keeps them."""

import gc

from torch import nn

from eigensam.landscapes.derivatives.live_buffers import live_modules


def test_modules_that_the_garbage_collector_has_frozen_are_found():
    """Long trainings freeze what they have, to fork workers or to save time; statistics moved twice then."""
    norm = nn.BatchNorm1d(2)
    gc.freeze()
    try:
        assert any(module is norm for module in live_modules())
        assert gc.get_freeze_count() > 0  # as before
    finally:
        gc.unfreeze()
