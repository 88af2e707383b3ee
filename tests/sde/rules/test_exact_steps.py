"""The interpreter of rules: shared parts are computed once and nothing is left behind (values: test_multiprecision)."""

import gc
import weakref

import torch

from eigensam.landscapes import Quadratic
from eigensam.sde import exact_increments, find_rule

X = torch.ones(5, 1, 2, dtype=torch.float64)


class Watched(Quadratic):
    """Keeps weak references to every derivative that it hands out."""

    def contracted_gradients(self, x, terms):
        result = super().contracted_gradients(x, terms)
        self.handed_out.append(weakref.ref(result))
        return result


def watched():
    f = Watched([[2.0, 0.0], [0.0, 1.0]], centres=[[0.0, 0.0], [1.0, 0.5]])
    f.handed_out = []
    return f


def test_a_shared_part_is_computed_once():
    """SAM's gradient stands in its own norm: two passes, not three."""
    f = watched()
    exact_increments(f, find_rule("sam"), X, 0.1)
    assert len(f.handed_out) == 2


def test_no_array_waits_for_the_garbage_collector():
    f = watched()
    gc.disable()
    try:
        result = exact_increments(f, find_rule("sam"), X, 0.1)
        assert all(reference() is None for reference in f.handed_out)
    finally:
        gc.enable()
    assert result.shape == (5, 2, 2)
