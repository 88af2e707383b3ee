"""Passes of pairs through every network whose derivatives are checked: what one pair at a time gives, or refused."""

import warnings

import pytest
import torch
from torch import nn

from eigensam.landscapes import KinkWarning, NetworkLandscape

from .checked_networks import NETWORKS

D = torch.float64


def landscapes(name):
    torch.manual_seed(0)
    model, data = NETWORKS[name]().double(), (torch.randn(12, 16, dtype=D), torch.arange(12) % 3)
    return [
        NetworkLandscape.from_tensors(model, nn.functional.cross_entropy, *data, batch_size=4, points_per_pass=count)
        for count in (1, 3)
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_pairs(name):
    alone, together = landscapes(name)
    x = alone.point() + 0.1 * torch.randn(4, alone.dim, dtype=D)
    u, minibatches = torch.randn(4, alone.dim, dtype=D), torch.tensor([0, 2, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        warnings.filterwarnings("ignore", "There is a performance drop")  # torch's own: a loop in place of a pass
        for terms in ([(1.0, ())], [(0.3, ()), (0.5, (u,))], [(1.0, ()), (0.1, (u, u))]):
            found, truth = (f.pair_gradients(x, terms, minibatches) for f in (together, alone))
            torch.testing.assert_close(found, truth, rtol=1e-9, atol=1e-11)


def test_torch_s_own_fault_is_seen():
    """Under vmap, torch's embedding gives the row of padding a gradient (2.14): such passes are refused."""
    together = landscapes("embedding with padding")[1]
    together.pair_gradients(together.point().expand(2, -1), [(1.0, ())], torch.tensor([0, 1]))
    used = together.derivatives.used[0]
    assert used == "vmap" or "off the same pairs one at a time (float64)" in used
