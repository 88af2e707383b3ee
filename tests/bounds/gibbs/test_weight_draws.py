"""All weights of any network, drawn; buffers stay, and so does the network that was given."""

import pytest
import torch
from torch import nn

from eigensam.bounds import IsotropicPosterior, LowRankPosterior, WeightDraws
from eigensam.ground import InputError
from eigensam.landscapes.derivatives.flat import flatten
from eigensam.landscapes.runs.models.cnn6 import cnn6

X = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


def _normed():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2))
    model(10 * torch.randn(50, 4))
    return model


def test_scores_are_those_of_the_sampled_weights():
    """Against copying each sample into the network, in float32, batch norm in evaluation mode."""
    model = _normed()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    mean = flatten(model.parameters())
    q = LowRankPosterior(mean, 0.3, torch.eye(len(mean))[:2], torch.tensor([0.1, 0.01]))
    scores = WeightDraws(model, q, X, batch_size=4).logits(X, 3, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    for found in scores:
        twin = _normed().eval()
        nn.utils.vector_to_parameters(q.sample(1, generator)[0].float(), twin.parameters())
        torch.testing.assert_close(found, twin(X))
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not torch.allclose(scores[0], scores[1])


def test_narrow_posteriors_give_the_network():
    model = cnn6((1, 8, 8), 10)
    images = torch.randn(5, 1, 8, 8)
    network = WeightDraws(model, IsotropicPosterior(flatten(model.parameters()).detach(), 1e-30), images)
    assert torch.equal(network.logits(images, 1, torch.Generator())[0], model.eval()(images))
    assert network.classes == 10


def test_later_training_changes_nothing():
    model = _normed()
    network = WeightDraws(model, IsotropicPosterior(flatten(model.parameters()), 0.1), X)
    before = network.logits(X, 1, torch.Generator().manual_seed(1))
    model(X)  # batch norm's statistics
    assert torch.equal(network.logits(X, 1, torch.Generator().manual_seed(1)), before)


def test_refusals():
    q = IsotropicPosterior(torch.zeros(10), 1.0)
    with pytest.raises(InputError, match="the posterior has 9 parameters, the network 10"):
        WeightDraws(nn.Linear(4, 2), IsotropicPosterior(torch.zeros(9), 1.0), X)
    with pytest.raises(InputError, match="batch_size = 0"):
        WeightDraws(nn.Linear(4, 2), q, X, batch_size=0)
    with pytest.raises(InputError, match="depend on the other examples"):
        WeightDraws(nn.Sequential(nn.BatchNorm1d(4, affine=False, track_running_stats=False), nn.Linear(4, 2)), q, X)
