"""Derivatives as differences: their accuracy, their own account of it, and the network in float64."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import NetworkDerivatives, NetworkFunction
from eigensam.landscapes.derivatives.differences import difference_accuracy, differenced_product, natural_step
from eigensam.landscapes.networks.difference_route import DifferenceRoute
from eigensam.landscapes.networks.route_check import RouteCheck
from eigensam.landscapes.networks.route_comparison import WrongDerivativeError

D = torch.float64
X, Y = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=D), torch.arange(9) % 3


@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_a_product_and_what_it_says_of_itself(dtype):
    x = torch.linspace(0.5, 2.0, 5, dtype=D).to(dtype)
    value, error = differenced_product(lambda x: x.exp(), x, x, natural_step([x], [x]))
    truth = (x * x.exp()).double()
    assert (value.double() - truth).norm() <= difference_accuracy(dtype) * truth.norm()
    assert error <= difference_accuracy(dtype)


def test_flat_functions_and_noise():
    x = torch.linspace(0.5, 2.0, 5, dtype=D)
    value, error = differenced_product(lambda p: torch.full((5,), 1 / 3, dtype=D) + p - p, x, x, 1.0)
    assert value.norm() < 1e-9
    assert error == 0.0  # flat, as far as can be told
    generator = torch.Generator().manual_seed(0)
    _, error = differenced_product(lambda p: torch.randn(5, generator=generator, dtype=D), x, x, 1.0)
    assert error > 0.1


def network_of(layer, dtype):
    torch.manual_seed(0)
    return NetworkFunction(nn.Sequential(nn.Linear(4, 20), layer, nn.Linear(20, 3)).to(dtype), cross_entropy)


@pytest.mark.parametrize("layer", [nn.Tanh, nn.ReLU])
def test_single_precision_is_left_behind(layer):
    """Products and third derivatives of a float32 network, rectifiers included, to what float32 can hold."""
    network = network_of(layer(), torch.float32)
    batch, x = (X.float(), Y), network.point()
    u = torch.randn(network.dim, generator=torch.Generator().manual_seed(1))
    exact = NetworkDerivatives(network.in_double(), "reverse")
    route = DifferenceRoute(network, RouteCheck(network))
    for order in (0, 1, 2):
        truth = exact.contracted_gradient(x.double(), [(1.0, (u.double(),) * order)], batch)
        found = route.take(x, [(1.0, (u,) * order)], batch)
        assert found.dtype == torch.float32
        assert (found.double() - truth).norm() < 1e-6 * truth.norm() + 1e-12
    assert route.error < 1e-6
    mixed = route.take(x, [(2.0, ()), (0.5, (u,)), (0.25, (u, 2 * u))], batch)
    terms = [(2.0, ()), (0.5, (u.double(),)), (0.25, (u.double(), 2 * u.double()))]
    truth = exact.contracted_gradient(x.double(), terms, batch)
    assert (mixed.double() - truth).norm() < 1e-6 * truth.norm()
    assert not route.take(x, [(1.0, (torch.zeros_like(u),))], batch).any()


class Rough(nn.Module):
    """Has kinks at every scale."""

    def forward(self, x):
        return x + 1e-3 * torch.frac(1e9 * x.detach()) * x


def test_no_step_is_no_product():
    network = network_of(Rough(), D)
    x = network.point()
    with pytest.raises(WrongDerivativeError, match=r"disagree by .* kinks or noise at every scale"):
        DifferenceRoute(network, RouteCheck(network, enabled=False)).take(x, [(1.0, (x,))], (X, Y))
