"""Scores without weights have the law of scores with explicit weights, drawn for every example."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from eigensam.bounds import (
    DiagonalPosterior,
    IsotropicPosterior,
    LowRankPosterior,
    MeanFieldPerceptron,
    local_reparameterisation,
    perceptron_layers,
)
from eigensam.ground import InputError
from eigensam.landscapes.derivatives.flat import unflatten

from .moments import same_mean, same_two_moments

DRAWS = 40_000


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _model(bias=True):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(4, 3, bias=bias),
        nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(3, 3)),
        nn.Tanh(),
        nn.Linear(3, 2),
    ).double()


def _setting(bias=True):
    model = _model(bias)
    d = sum(p.numel() for p in model.parameters())
    q = DiagonalPosterior(torch.randn(d, generator=_generator(1)), 0.2 + 0.5 * torch.rand(d, generator=_generator(2)))
    return model, q, torch.randn(2, 2, 2, generator=_generator(3), dtype=torch.float64)


def _explicit(model, q, inputs, shared=False):
    """``(draws, batch * classes)`` by drawing every weight; ``shared``: one draw for all examples. Wrong on purpose."""
    names, shapes = zip(*((n, p.shape) for n, p in model.named_parameters()), strict=True)
    columns = []
    for index in range(len(inputs)):
        weights = q.sample(DRAWS, _generator(10 if shared else 10 + index))
        call = vmap(
            lambda w, x: functional_call(model, dict(zip(names, unflatten(w, shapes), strict=True)), (x,)), (0, None)
        )
        columns.append(call(weights, inputs[index : index + 1])[:, 0])
    return torch.cat(columns, 1)


@pytest.mark.parametrize("bias", [True, False])
def test_same_law_as_explicit_weights(bias):
    """Means and covariances, within an example and between two, which are independent."""
    model, q, inputs = _setting(bias)
    scores = MeanFieldPerceptron(model, q).logits(inputs, DRAWS, _generator(5))
    assert scores.shape == (DRAWS, 2, 2)
    assert same_two_moments(scores.flatten(1), _explicit(model, q, inputs))


def test_shared_weights_are_caught():
    model, q, inputs = _setting()
    scores = MeanFieldPerceptron(model, q).logits(inputs, DRAWS, _generator(5))
    assert not same_two_moments(scores.flatten(1), _explicit(model, q, inputs, shared=True))


@pytest.mark.parametrize("wrong", [lambda s: s.sqrt(), lambda s: s * 1.05], ids=["not squared", "5 % too wide"])
def test_wrong_variances_are_caught(wrong):
    """Variances not squared; and how small an error is still seen."""
    model, q, inputs = _setting()
    scores = local_reparameterisation(perceptron_layers(model), q.mean, wrong(q.sigmas), inputs, DRAWS, _generator(5))
    assert not same_two_moments(scores.flatten(1), _explicit(model, q, inputs))


def test_one_layer_in_closed_form(f64):
    """Second truth: a linear layer has variance ``sum s^2 x^2 + s_b^2``."""
    q = DiagonalPosterior(torch.randn(6, generator=_generator(1)), torch.linspace(0.1, 1, 6))
    x = torch.tensor([[0.5, -2.0]], dtype=f64)
    scores = MeanFieldPerceptron(nn.Linear(2, 2), q).logits(x, DRAWS, _generator(5))[:, 0]
    mean = x[0] @ q.mean[:4].view(2, 2).T + q.mean[4:]
    variance = x[0].square() @ q.sigmas[:4].square().view(2, 2).T + q.sigmas[4:].square()
    assert same_mean(scores, mean)
    assert same_mean((scores - mean).square(), variance)


def test_gradients_are_those_of_differences(f64):
    """In means and log sigmas, with the same noise."""
    layers = perceptron_layers(_model())
    inputs = torch.randn(3, 4, generator=_generator(3), dtype=f64)

    def scores(mean, log_sigmas):
        return local_reparameterisation(layers, mean, log_sigmas.exp(), inputs, 2, _generator(7))

    mean = torch.randn(35, generator=_generator(1), dtype=f64, requires_grad=True)
    log_sigmas = torch.full((35,), -1.0, dtype=f64, requires_grad=True)
    assert torch.autograd.gradcheck(scores, (mean, log_sigmas))
    one = torch.full((1,), -1.0, dtype=f64, requires_grad=True)
    assert torch.autograd.gradcheck(scores, (mean, one))


def test_no_noise_at_zero_has_a_gradient():
    """Without a bias an input of 0 has no noise; the root's gradient stays finite."""
    layers = perceptron_layers(nn.Linear(2, 2, bias=False))
    sigmas = torch.ones(4, requires_grad=True)
    scores = local_reparameterisation(layers, torch.zeros(4), sigmas, torch.zeros(1, 2), 3, _generator())
    scores.sum().backward()
    assert float(scores.detach().abs().max()) < 1e-15
    assert sigmas.grad.tolist() == [0.0] * 4


def test_inputs_are_left_alone():
    inputs = -torch.ones(2, 2, dtype=torch.float64)
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Linear(2, 2))
    MeanFieldPerceptron(model, IsotropicPosterior(torch.zeros(12), 1.0)).logits(inputs, 2, _generator())
    assert inputs.tolist() == [[-1.0, -1.0]] * 2


def _shared():
    layer = nn.Linear(2, 2)
    return nn.Sequential(layer, nn.ReLU(), layer)


def _hooked():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].register_forward_hook(lambda *_: None)
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 2)), "Conv2d is no linear layer"),
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)), "BatchNorm1d is no linear layer"),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2)), "Dropout is no linear layer"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(1), nn.Linear(2, 2)), "Softmax is no linear layer"),
        (nn.Sequential(nn.Linear(2, 2), nn.PReLU(), nn.Linear(2, 2)), "PReLU is no linear layer"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(2, 2)), "Flatten is no linear layer"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "ParametrizedLinear is no linear layer"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "does not end with a linear layer"),
        (nn.Sequential(nn.ReLU()), "does not end with a linear layer"),
        (_shared(), "share parameters"),
        (_hooked(), "a Linear has hooks"),
    ],
)
def test_refused_models(model, message):
    with pytest.raises(InputError, match=message):
        perceptron_layers(model)


def test_weights_used_twice_for_one_example_are_refused():
    """A linear layer on every row of an example is not drawn by coordinates: its outputs are correlated."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Flatten(), nn.Linear(6, 2))
    network = MeanFieldPerceptron(model, IsotropicPosterior(torch.zeros(20), 1.0))
    with pytest.raises(InputError, match="would use each weight several times for one example"):
        network.logits(torch.ones(4, 3, 2), 1, _generator())


def test_refused_posteriors():
    model = nn.Linear(2, 2)
    with pytest.raises(InputError, match="LowRankPosterior has correlated weights"):
        MeanFieldPerceptron(model, LowRankPosterior(torch.zeros(6), 1.0, torch.eye(6)[:1], torch.ones(1)))
    with pytest.raises(InputError, match="the posterior has 5 parameters, the network 6"):
        MeanFieldPerceptron(model, IsotropicPosterior(torch.zeros(5), 1.0))
    with pytest.raises(InputError, match="the network has 6 parameters"):
        local_reparameterisation([model], torch.zeros(6), torch.zeros(5), torch.ones(1, 2), 1, _generator())
