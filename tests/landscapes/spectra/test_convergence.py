"""When Ritz values count as settled."""

import torch

from eigensam.landscapes.spectra.convergence import Convergence


def _after(tops, residual):
    rule = Convergence(1e-3, 1e-14)
    for top in tops:
        met = rule.met(torch.tensor([0.0, top], dtype=torch.float64), torch.tensor([1.0, residual]), [1])
    return met


def test_the_residual_and_the_rest_of_a_geometric_rise():
    assert _after([0.9, 0.999, 0.9999], 5e-4)
    assert not _after([0.9, 0.999, 0.9999], 5e-3)  # the residual is too large
    assert not _after([0.99, 0.995, 0.9999], 5e-4)  # still rising: steps hardly shrink
    assert not _after([1.0, 1.000001, 1.001], 5e-4)  # leaving a wrong eigenvector: steps grow
    assert _after([1.0, 1.0 + 1e-10, 1.0 + 1e-8], 5e-4)  # too small to tell from rounding


def test_a_value_seen_once_or_twice_has_not_settled():
    """The last of sixty Ritz values appears with the sixtieth product: nothing is known of where it goes."""
    assert not _after([0.9999], 5e-4)
    assert not _after([0.9999, 0.9999], 5e-4)
    assert _after([0.9999], 1e-16)  # but an exact one goes nowhere
