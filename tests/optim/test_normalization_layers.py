"""SAM on normalisation layers only: which these are, and that the step is the paper's."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.optim import ASAM, SAM, SAMONSettings, TrainSettings, make_optimizer, normalization_groups
from eigensam.optim.training.training import Training

LR = 0.2


class LlamaRMSNorm(nn.Module):
    """As other libraries write theirs."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))


class Scaled(nn.Module):
    """A layer whose name says nothing."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(4))
        self.inner = nn.Linear(4, 4)


class LayerNorm2d(nn.LayerNorm):
    pass


class LayerNormLinear(nn.Module):
    """A fused layer: what has the name of a norm also holds the next layer's matrix."""

    def __init__(self):
        super().__init__()
        self.gain, self.weight = nn.Parameter(torch.ones(1, 4, 1)), nn.Parameter(torch.ones(4, 4))


LAYERS = {
    "batch": nn.BatchNorm1d(4),
    "batch, 2d": nn.BatchNorm2d(4),
    "sync": nn.SyncBatchNorm(4),
    "layer": nn.LayerNorm(4),
    "group": nn.GroupNorm(2, 4),
    "instance": nn.InstanceNorm2d(4, affine=True),
    "rms": nn.RMSNorm(4),
    "somebody else's": LlamaRMSNorm(),
    "derived": LayerNorm2d(4),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_are_found(name):
    layer = LAYERS[name]
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Conv2d(1, 1, 1), layer), nn.PReLU(), nn.Embedding(3, 4))
    first, others = normalization_groups(model, rho=0.3)
    assert first["rho"] == 0.3
    assert others["rho"] == 0.0
    assert {id(p) for p in first["params"]} == {id(p) for p in layer.parameters()}
    assert len(first["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_matrices_of_fused_layers_are_not_perturbed():
    model = nn.Sequential(LayerNormLinear(), nn.Linear(4, 2))
    first, others = normalization_groups(model, rho=0.3)
    assert [id(p) for p in first["params"]] == [id(model[0].gain)]
    assert len(others["params"]) == 3
    named, _ = normalization_groups(model, rho=0.3, also=[LayerNormLinear])  # whoever names it wants all of it
    assert len(named["params"]) == 2


def test_layers_that_are_named():
    """Their own parameters, not those of modules inside."""
    model = nn.Sequential(Scaled(), nn.LayerNorm(4))
    (first, _), (named, _) = (normalization_groups(model, rho=0.3, also=also) for also in ([], [Scaled]))
    assert [id(p) for p in first["params"]] == [id(p) for p in model[1].parameters()]
    assert [id(p) for p in named["params"]] == [id(model[0].gain), *map(id, model[1].parameters())]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU()), "there is no normalisation layer"),
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False)), "1 normalisation layers have none"),
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4).requires_grad_(False)), "1 normalisation layers have none"),
    ],
    ids=["none", "not affine", "frozen"],
)
def test_networks_that_are_refused(model, message):
    with pytest.raises(InputError, match=f"no parameters of normalisation layers to perturb: {message}"):
        normalization_groups(model, rho=0.3)


def test_frozen_parameters_are_left_out_and_normalisation_alone_is_one_group():
    model = nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.LayerNorm(4))
    (only,) = normalization_groups(model, rho=0.3, adaptive=False)
    assert len(only["params"]) == 2
    assert only["adaptive"] is False
    ASAM([only], lr=0.1)


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3)).double()


DATA = torch.randn(9, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64), torch.arange(9) % 3


def _transcribed(model, chosen, steps, rho=0.4):
    """The released code of SAM-ON: the norm, and the ascent, of parameters with the word in their names alone."""
    x = {name: p.detach().clone() for name, p in model.named_parameters()}

    def gradient(x):
        return torch.func.grad(lambda x: cross_entropy(functional_call(model, x, (DATA[0],)), DATA[1]))(x)

    for _ in range(steps):
        g = gradient(x)
        norm = torch.cat([g[name].reshape(-1) for name in chosen]).norm()
        there = {name: p + rho * g[name] / norm if name in chosen else p for name, p in x.items()}
        g = gradient(there)
        x = {name: p - LR * g[name] for name, p in x.items()}
    return torch.cat([p.reshape(-1) for p in x.values()])


def test_the_step_is_the_papers():
    model = _network()
    optimizer = SAM(normalization_groups(model, rho=0.4), lr=LR)
    for _ in range(4):
        optimizer.step(lambda: cross_entropy(model(DATA[0]), DATA[1]))
    found = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    normal = {"1.weight", "1.bias"}
    torch.testing.assert_close(found, _transcribed(_network(), normal, 4), rtol=1e-10, atol=1e-12)
    # wrong on purpose: all parameters, all others, and a norm over all
    names = {name for name, _ in model.named_parameters()}
    for wrong in (names, names - normal):
        assert (_transcribed(_network(), wrong, 4) - found).norm() > 1e-3


def test_a_quadratic_in_closed_form():
    """Gain and bias of a layer whose output is their value: from (1, 1), gradients (1, 4) and 3 for the one weight."""

    class Norm(nn.LayerNorm):
        def __init__(self):
            super().__init__(1)

    model = nn.Sequential(Norm(), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    a, b, w = model.parameters()
    optimizer = SAM(normalization_groups(model, rho=0.5), lr=0.1)
    optimizer.step(lambda: (0.5 * a**2 + 2 * b**2).sum() + 1.5 * w.sum() ** 2)
    unit = torch.tensor([1.0, 4.0], dtype=torch.float64) / 17**0.5
    expected = [1 - 0.1 * (1 + 0.5 * unit[0]), 1 - 0.1 * 4 * (1 + 0.5 * unit[1]), 1 - 0.1 * 3]
    assert [a.item(), b.item(), w.item()] == pytest.approx([float(each) for each in expected], rel=1e-12)


def test_a_run(digits):
    data = dataclasses.replace(digits, train_inputs=digits.train_inputs[:64], train_targets=digits.train_targets[:64])
    settings = TrainSettings(SAMONSettings(rho=0.7), model="wrn28-10", epochs=1, batch_size=32)
    with pytest.raises(InputError, match="no parameters of normalisation layers to perturb"):
        Training(dataclasses.replace(settings, model="mlp"), data, torch.device("cpu"))
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))
    optimizer = make_optimizer(settings, model)
    assert type(optimizer) is SAM
    assert [(group["rho"], len(group["params"])) for group in optimizer.param_groups] == [(0.7, 2), (0.0, 4)]
