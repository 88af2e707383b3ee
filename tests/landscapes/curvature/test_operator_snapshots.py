"""An operator is a snapshot of the network, whatever training does afterwards."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import EmpiricalFisher, GaussNewton, Hessian, NetworkFunction

from .small_networks import BATCH, D, X, Y, network_of, relative


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_training_that_goes_on_does_not_move_an_operator(operator, graph_bytes):
    network = network_of(nn.BatchNorm1d(4), nn.Tanh(), parameters=["0.*"])
    network.model.train()(X)
    x = network.point()
    matrix = operator(network, [BATCH], x, graph_bytes=graph_bytes)
    v = torch.ones(network.dim, dtype=D)
    fresh = operator(network, [BATCH], x.clone(), graph_bytes=graph_bytes)  # its first product comes later
    before = matrix @ v
    x += 1
    network.model.train()(3 * X + 1)
    with torch.no_grad():
        for p in network.model.parameters():
            p += 0.5
    for given in (matrix, fresh):
        assert torch.equal(given @ v, before)
    assert relative(operator(network, [BATCH]) @ v, before) > 1e-3


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_tensors_that_were_exchanged_are_still_the_coordinates(operator):
    """``load_state_dict(assign=True)`` puts other tensors in the place of the parameters."""
    network = network_of(nn.Tanh())
    state = {name: 2 * value for name, value in network.model.state_dict().items()}
    twin = network_of(nn.Tanh())
    twin.model.load_state_dict(state)
    v = torch.ones(network.dim, dtype=D)
    before = operator(network, [BATCH]) @ v
    network.model.load_state_dict(state, assign=True)
    assert torch.equal(operator(network, [BATCH]) @ v, operator(twin, [BATCH]) @ v)
    assert relative(operator(network, [BATCH]) @ v, before) > 1e-3


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_what_a_loss_reads_of_the_module_is_in_the_snapshot(operator, graph_bytes):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(4, 3)
            self.scale = nn.Parameter(torch.tensor(2.0), requires_grad=False)

        def forward(self, x):
            return self.layer(x).tanh()

    model = Scaled().double()
    network = NetworkFunction(model, lambda z, y: cross_entropy(model.scale * z, y))
    matrix, v = operator(network, [BATCH], graph_bytes=graph_bytes), torch.ones(network.dim, dtype=D)
    fresh = operator(network, [BATCH], graph_bytes=graph_bytes)
    before = matrix @ v
    with torch.no_grad():
        model.scale.fill_(3.0)
    assert torch.equal(matrix @ v, before)
    assert torch.equal(fresh @ v, before)
    assert relative(operator(network, [BATCH]) @ v, before) > 1e-2


def test_what_a_penalty_adds_is_not_left_out():
    """The Fisher's gradients have it, the Gauss-Newton matrix cannot."""
    network = network_of(nn.Tanh())
    model = network.model
    network.loss_function = lambda z, y: cross_entropy(z, y) + model[2].weight.square().sum()
    with pytest.raises(InputError, match="not only through the outputs"):
        GaussNewton(network, [BATCH]) @ network.point()
    gradients = []
    for i in range(10):
        model.zero_grad()
        network.loss_function(model(X[i : i + 1]), Y[i : i + 1]).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    model.zero_grad()
    g = torch.stack(gradients)
    assert relative(EmpiricalFisher(network, [BATCH]).dense(), g.T @ g / 10) < 1e-12


class Frozen(dict):
    """A configuration that cannot be written, as libraries have them."""

    def clear(self):
        raise TypeError("this dict is frozen")

    update = __setitem__ = clear


class Configured(nn.Module):
    def __init__(self):
        super().__init__()
        self.config, self.lazy, self.order = Frozen(width=3), None, [1, 2]

    def forward(self, x):
        del self.lazy
        self.order.append(3)
        return x * self.config["width"] * len(self.order)


def test_attributes_are_put_back_whatever_they_are():
    network = network_of(Configured(), nn.Tanh())
    module = network.model[1]
    config, order = module.config, module.order
    (Hessian(network, [BATCH], method="reverse") @ network.point()).norm()
    assert (module.config, module.lazy, module.order) == ({"width": 3}, None, [1, 2])
    assert module.config is config
    assert module.order is order


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_data_that_is_written_to_is_found(graph_bytes):
    inputs = X.clone()
    network = network_of(nn.Tanh())
    matrix = Hessian(network, [(inputs, Y)], graph_bytes=graph_bytes)
    v = network.point()
    before = matrix @ v
    inputs += 1
    with pytest.raises(InputError, match="the data was written to after the first product"):
        matrix @ v
    inputs -= 1
    assert relative(Hessian(network, [(inputs, Y)]) @ v, before) < 1e-12
