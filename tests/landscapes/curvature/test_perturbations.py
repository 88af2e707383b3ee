"""Minibatches one at a time: of a network and of a closed form, by a rule and as given."""

import torch
from torch import nn
from torch.nn.functional import mse_loss

from eigensam.landscapes import NetworkLandscape, Quadratic
from eigensam.landscapes.curvature.perturbations import minibatch_perturbations


def test_a_linear_network_and_its_quadratic():
    """Mean squared error of ``x * 1`` with target ``c`` is ``(x - c)^2``."""
    model = nn.Linear(1, 1, bias=False).double()
    centres = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    network = NetworkLandscape.from_tensors(model, mse_loss, torch.ones_like(centres), centres, batch_size=1)
    quadratic = Quadratic([[2.0]], centres=centres)
    x, given = torch.ones(1, dtype=torch.float64), torch.tensor([[4.0], [5.0], [6.0]])
    for landscape in (network, quadratic):
        found = [(g.item(), u.item()) for g, u in minibatch_perturbations(landscape, x)]
        assert found == [(2, 1), (0, 0), (-4, -1)]
        assert [u.item() for _, u in minibatch_perturbations(landscape, x, lambda g: 3 * g)] == [6, 0, -12]
        assert [u.item() for _, u in minibatch_perturbations(landscape, x, given)] == [4, 5, 6]
