"""Whose derivative is wrong: the innermost module, the loss, or the code between."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import NetworkFunction
from eigensam.landscapes.networks.suspect import find_suspect

D = torch.float64
X, Y = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=D), torch.arange(6) % 3


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(x, y.clone())
        return y

    @staticmethod
    def backward(ctx, grad):
        _, y = ctx.saved_tensors
        return grad * (1 - y * y)


class Layer(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class OwnParameter(nn.Module):
    """Wrong in its parameter, right in its input."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(5))

    def forward(self, x):
        return x * Wrong.apply(self.scale)


class Between(nn.Sequential):
    def forward(self, x):
        return self[1](Wrong.apply(self[0](x)))


def build(*layers, kind=nn.Sequential, loss=cross_entropy):
    torch.manual_seed(0)
    return NetworkFunction(kind(nn.Linear(4, 5), *layers, nn.Linear(5, 3)).double(), loss)


CASES = {
    "module '1.0' (Layer)": lambda: build(nn.Sequential(Layer(Wrong.apply), nn.Tanh())),
    "module '2' (OwnParameter)": lambda: build(nn.Tanh(), OwnParameter()),
    "the loss": lambda: build(nn.Tanh(), loss=lambda z, y: cross_entropy(Wrong.apply(z), y)),
    "what Between computes between its modules": lambda: build(kind=Between),
}


@pytest.mark.parametrize("name", CASES)
def test_who_it_is(name):
    network = CASES[name]()
    exact = network.in_double()
    before = {key: value.clone() for key, value in network.model.state_dict().items()}
    assert find_suspect(exact, [p.detach() for p in network.model.parameters()], (X, Y), order=1) == name
    assert all(torch.equal(value, before[key]) for key, value in network.model.state_dict().items())
    assert all(isinstance(p, nn.Parameter) for p in network.model.parameters())


def test_modules_that_cannot_be_called_alone_are_not_accused():
    class Picky(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 1:
                raise RuntimeError("once only")
            return x

    network = build(Picky(), Layer(Wrong.apply))
    found = find_suspect(network.in_double(), [p.detach() for p in network.model.parameters()], (X, Y), order=1)
    assert found == "module '2' (Layer)"
