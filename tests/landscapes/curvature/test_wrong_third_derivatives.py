"""Networks of which torch says something wrong about third derivatives, without a word."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import Hessian, NetworkDerivatives, NetworkFunction, NetworkLandscape
from eigensam.landscapes.networks.network_derivatives import NotDifferentiableError

from .small_networks import BATCH, Apply, X, differenced_hessian, network_of, relative, scripted, third_error


def traced(layer):
    return torch.jit.trace(network_of(layer, nn.Tanh()).model, X)


def exported(layer):
    return torch.export.export(network_of(layer, nn.Tanh()).model.train(), (X,)).module()


def plainly(function):
    return lambda layer: network_of(Apply(function), nn.Tanh()).model


NORMS = {
    "torch.layer_norm": (plainly(lambda z: torch.layer_norm(z, (4,))), "taylor"),
    "native_layer_norm": (plainly(lambda z: torch.native_layer_norm(z, (4,), None, None, 1e-5)[0]), "reverse"),
    "aten.layer_norm": (plainly(lambda z: torch.ops.aten.layer_norm(z, [4])), "reverse"),
    "torch.batch_norm": (plainly(lambda z: torch.batch_norm(z, *[None] * 4, True, 0.1, 1e-5, True)), "taylor"),
    "torch.instance_norm": (
        plainly(
            lambda z: torch.instance_norm(z.view(-1, 2, 2), *[None] * 4, True, 0.1, 1e-2, True).flatten(1) + z
        ),
        "taylor",
    ),
    "torch.group_norm": (plainly(lambda z: torch.group_norm(z, 2)), "taylor"),
    "layer norm, traced": (lambda layer: traced(nn.LayerNorm(4)), "difference"),
    "layer norm, scripted": (lambda layer: scripted(nn.LayerNorm(4)), "difference"),
    "layer norm, exported": (lambda layer: exported(nn.LayerNorm(4)), "reverse"),
    "batch norm, scripted": (lambda layer: scripted(nn.BatchNorm1d(4)), "reverse"),
    "batch norm, exported": (lambda layer: exported(nn.BatchNorm1d(4)), "reverse"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize("case", NORMS)
def test_normalisations_however_they_are_called(case):
    build, route = NORMS[case]
    mode = "train" if "batch" in case else "eval"
    error, f = third_error(build(None), mode=mode)
    assert error < 1e-5
    assert f.derivatives.used[2].split()[0] == route
    assert not f.derivatives.how_checked(2).startswith("not")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:`torch.jit:FutureWarning")
def test_what_torch_says_of_compiled_layer_norm_is_wrong():
    """Else the tests above would show nothing."""
    f = NetworkLandscape.from_tensors(scripted(nn.LayerNorm(4)), cross_entropy, *BATCH)
    x = f.point()
    wrong = NetworkDerivatives(f.network, "reverse", check=False).contracted_gradient(x, [(1.0, (x, x))], BATCH)
    assert relative(wrong, f.third_product(x, x)) > 0.1
    with pytest.raises(NotDifferentiableError, match=r"route 'reverse' does not cover.*off differences of Hessian"):
        NetworkDerivatives(f.network, "reverse").contracted_gradient(x, [(1.0, (x, x))], BATCH)


def test_a_transposed_convolution_with_output_padding():
    layer = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.ConvTranspose2d(1, 1, 3, 2, 1, output_padding=1), nn.Flatten(), nn.Linear(16, 4)
    )
    error, _ = third_error(network_of(layer, nn.Tanh()).model)
    assert error < 1e-6


@pytest.mark.parametrize("layer", [lambda: nn.LayerNorm(4), lambda: nn.GroupNorm(2, 4), lambda: nn.BatchNorm1d(4)])
def test_a_norm_as_first_layer_with_its_bias_only(layer):
    torch.manual_seed(0)
    model = nn.Sequential(layer(), nn.Linear(4, 3), nn.Tanh()).double()
    error, f = third_error(model, parameters=["0.bias"])
    assert error < 1e-6
    assert f.derivatives.used[2] == "taylor"


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.pairs = nn.Parameter(torch.randn(1)), nn.Parameter(torch.randn(3, 2))  # at an odd place

    def forward(self, x):
        return (torch.view_as_complex(self.pairs) * torch.complex(x[:, :3], x[:, 1:])).abs() * self.scale


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_parameters_that_are_read_as_complex_numbers(graph_bytes):
    torch.manual_seed(0)
    network = NetworkFunction(Complex().double(), cross_entropy)
    truth = differenced_hessian(network)
    assert relative(Hessian(network, [BATCH], graph_bytes=graph_bytes).dense(), truth) < 1e-7
    assert third_error(network.model)[0] < 1e-5
