"""Networks split before their last linear layer, or refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from eigensam.bounds import FrozenBackbone, IsotropicPosterior, split_last_layer
from eigensam.ground import InputError
from eigensam.landscapes.runs.models.cnn6 import cnn6
from eigensam.landscapes.runs.models.mlp import mlp

IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class _Named(nn.Module):
    """Layers in another order than they are called; batch norm; a head without bias."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 3, bias=False)
        self.norm = nn.BatchNorm1d(64)
        self.body = nn.Linear(64, 5)

    def forward(self, x):
        return self.head(self.body(self.norm(x.flatten(1))).relu())


@pytest.mark.parametrize(
    "make",
    [
        lambda: cnn6((1, 8, 8), 10),
        lambda: mlp((1, 8, 8), 10),
        _Named,
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 2)),
    ],
)
def test_split(make):
    torch.manual_seed(0)
    model = make().train()
    last = split_last_layer(model, IMAGES)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    expected = model.eval()(IMAGES)
    torch.testing.assert_close(functional.linear(last.features(IMAGES), last.weight, last.bias), expected)
    network = FrozenBackbone(IsotropicPosterior(last.flat, 1e-30), *last.weight.shape, bias=last.bias is not None)
    scores = network.logits(last.features(IMAGES), 1, torch.Generator())[0]
    torch.testing.assert_close(scores.float(), expected, rtol=1e-4, atol=1e-5)


def test_later_training_changes_nothing():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 2))
    last = split_last_layer(model, IMAGES)
    before, weight = last.features(IMAGES), last.weight.clone()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert torch.equal(last.features(IMAGES), before)
    assert torch.equal(last.weight, weight)


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.body, self.head, self.function = nn.Linear(64, 64), nn.Linear(64, 64), function

    def forward(self, x):
        return self.function(self, x.flatten(1))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: m.head(m.body(x)).log_softmax(1), "are not those of its last linear layer, head"),
        (lambda m, x: m.head(m.body(x)) + x, "are not those of its last linear layer"),
        (lambda m, x: m.head(x @ m.head.weight), "are not those of its last linear layer"),
        (lambda m, x: m.head(m.head(m.body(x))), "head is called 2 times"),
        (lambda m, x: functional.linear(x, m.head.weight), "no nn.Linear of the network is called"),
        (lambda m, x: m.head(functional.dropout(x)), "other outputs for the same inputs"),
        (lambda m, x: m.head(x - x.mean(0)), "depend on the other examples"),
        (lambda m, x: m.head(x).sum(), r"gives \(\) for 6 inputs"),
        (lambda m, x: (m.head(x),), "gives tuple for 6 inputs"),
    ],
)
def test_refusals(function, message):
    torch.manual_seed(0)
    with pytest.raises(InputError, match=message):
        split_last_layer(_Function(function), IMAGES)


def test_no_linear_layer():
    with pytest.raises(InputError, match=r"Sequential has no nn\.Linear"):
        split_last_layer(nn.Sequential(nn.Flatten()), IMAGES)


def test_batch_norm_without_statistics():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64, track_running_stats=False), nn.Linear(64, 2))
    with pytest.raises(InputError, match="depend on the other examples"):
        split_last_layer(model, IMAGES)
