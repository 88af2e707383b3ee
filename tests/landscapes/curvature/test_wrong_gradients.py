"""Gradients that are not those of the whole network, or of no function at all."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy

from eigensam.landscapes import EmpiricalFisher, GaussNewton, Hessian, NetworkFunction, NetworkLandscape
from eigensam.landscapes.networks.network_derivatives import NotDifferentiableError

from .small_networks import BATCH, Apply, SavesWhatItComputed, X, Y, differenced_hessian, network_of, relative


class Probe(nn.Module):
    """A linear probe on features that are not trained, though their parameters could be."""

    def __init__(self):
        super().__init__()
        self.trunk, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        with torch.no_grad():
            features = self.trunk(x).tanh()
        return self.head(features)


class Padded(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(5, 4, padding_idx=0), nn.Linear(4, 3)
        nn.init.normal_(self.table.weight)

    def forward(self, x):
        return self.head(self.table((2 * x).long().abs() % 5).mean(1).tanh())


@pytest.mark.parametrize("build", [Probe, Padded])
def test_parameters_that_torch_takes_for_constants(build):
    """They are constants in every derivative, and not half of them: the matrix of the others, zeros around it."""
    torch.manual_seed(0)
    model = build().double()
    network = NetworkFunction(model, cross_entropy)
    matrices = [operator(network, [BATCH]) for operator in (Hessian, GaussNewton, EmpiricalFisher)]
    dense = [matrix.dense() for matrix in matrices]
    assert matrices[0].used == "graph"
    for matrix, found in zip(matrices, dense, strict=True):
        assert matrix.checked.startswith("within ")
        torch.testing.assert_close(found, found.mT)
    moving = slice(-18, None) if build is Probe else slice(4, None)
    truth = torch.zeros_like(dense[0])
    truth[moving, moving] = differenced_hessian(network)[moving, moving]
    assert relative(dense[0], truth) < 1e-7


class Reversal(torch.autograd.Function):
    """Of domain adaptation: its backward pass is not the derivative of its forward pass, on purpose."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return -grad


@pytest.mark.parametrize("function", [Reversal.apply, lambda z: z * torch.sigmoid(z).detach()])
def test_gradients_of_no_function_have_no_hessian(function):
    network = network_of(nn.Tanh(), Apply(function))
    for graph_bytes in (0, 2**30):
        with pytest.raises(NotDifferentiableError, match="the gradient is not that of any function"):
            Hessian(network, [BATCH], graph_bytes=graph_bytes) @ network.point()
    assert (Hessian(network, [BATCH], check=False) @ network.point()).any()


def test_a_wrong_derivative_behind_a_head_of_zeros():
    """As new networks have it: there it does not show, and would be believed ever after."""
    network = network_of(Apply(SavesWhatItComputed.apply))
    with torch.no_grad():
        network.model[-1].weight.zero_()
        network.model[-1].bias.zero_()
    f = NetworkLandscape(network.model, cross_entropy, [BATCH])
    f.hessian_product(f.point(), f.point())
    assert "off differences of gradients" in f.derivatives.used[1]


class Single(nn.Module):
    """Another function in float32 than in float64."""

    def forward(self, x):
        return SavesWhatItComputed.apply(x) if x.dtype == torch.float32 else functional.silu(x)


def test_code_for_one_type_only():
    rough = NetworkFunction(network_of(Single()).model.float(), cross_entropy)
    plain = NetworkFunction(network_of(nn.SiLU()).model.float(), cross_entropy)
    batch = X.float(), Y
    v = torch.ones(rough.dim)
    operator = Hessian(rough, [batch])
    assert relative(operator @ v, Hessian(plain, [batch]) @ v) < 1e-3
    assert "in float32 what it is in float64" in operator.used


def test_a_derivative_that_is_not_finite_is_left_to_another_route():
    network = network_of(Apply(lambda z: torch.xlogy(z.relu(), z.relu())))
    operator = Hessian(network, [BATCH])
    assert (operator @ network.point()).isfinite().all()
    assert operator.used.startswith("difference")
