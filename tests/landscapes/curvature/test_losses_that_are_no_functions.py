"""Losses that draw, write or remember: refused, or put back."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import EmpiricalFisher, GaussNewton, Hessian, NetworkDerivatives, NetworkFunction
from eigensam.landscapes.networks.route_comparison import UnsteadyLossError

from .small_networks import BATCH, Apply, D, X, Y, network_of, relative


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_random_numbers_are_refused(operator, graph_bytes):
    in_model = network_of(Apply(lambda z: functional.dropout(z, 0.5, training=True)))
    in_loss = network_of(loss=lambda z, y: cross_entropy(functional.dropout(z, 0.5, training=True), y))
    for network in (in_model, in_loss):
        with pytest.raises(InputError, match=r"two evaluations at one point differ|mean of its examples' losses"):
            operator(network, [BATCH], graph_bytes=graph_bytes) @ network.point()
    with pytest.raises(UnsteadyLossError):
        Hessian(in_model, [BATCH], method="difference") @ in_model.point()


class Writes(nn.Module):
    """Into a buffer, an attribute, a cache and its own inputs, whenever it is called."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.ones((), dtype=D))
        self.factor, self.cache, self.shift = 1.0, {}, None

    def forward(self, x):
        x = x.mul_(0.5) if not x.requires_grad else x * 0.5
        self.count += 1
        self.factor *= 2
        if self.shift is None:
            self.shift = torch.full((x.shape[1],), 0.1)
        if x.shape[1] not in self.cache:
            self.cache[x.shape[1]] = torch.ones(x.shape[1])
        return x * self.count * self.factor * self.cache[x.shape[1]] + self.shift


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_what_a_model_writes_is_put_back(graph_bytes, mode):
    """So that it is a function, at the same place for each product, and is the user's own after."""
    torch.manual_seed(0)
    model = nn.Sequential(Writes(), nn.Linear(4, 3), nn.Tanh(), Writes(), nn.Linear(3, 3)).double()
    network, inputs = NetworkFunction(model, cross_entropy, mode=mode), X.clone()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    matrix = Hessian(network, [(inputs, Y)], graph_bytes=graph_bytes)
    v = network.point()
    found = matrix @ v
    assert torch.equal(matrix @ v, found)
    assert torch.equal(inputs, X)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for module in (model[0], model[3]):
        assert (module.factor, module.cache, module.shift) == (1.0, {}, None)
    plain = nn.Sequential(
        Apply(lambda x: 2 * x + torch.full((4,), 0.1)), model[1], nn.Tanh(),
        Apply(lambda x: 2 * x + torch.full((3,), 0.1)), model[4],
    )  # fmt: skip
    assert relative(found, Hessian(NetworkFunction(plain, cross_entropy), [BATCH]) @ v) < 1e-10
    derivatives = NetworkDerivatives(network)
    derivatives.contracted_gradient(v, [(1.0, (v, v))], (inputs, Y))
    assert model[0].shift is None  # and not a tensor of float64


def test_a_loss_that_remembers_elsewhere_is_refused():
    calls = []

    def loss(z, y):
        calls.append(1)
        return cross_entropy(z * len(calls), y)

    network = network_of(nn.Tanh(), loss=loss)
    with pytest.raises(UnsteadyLossError, match="remembers"):
        Hessian(network, [BATCH]) @ network.point()
