"""No false alarm: networks whose derivatives are right pass the check."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from torchvision.models import resnet18

from eigensam.landscapes import NetworkFunction
from eigensam.landscapes.networks.route_check import RouteCheck
from eigensam.landscapes.runs.wide_resnet import WideResNet

from .checked_networks import NETWORKS, D, data, products


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", NETWORKS)
def test_right_networks_pass(name, mode):
    """In float32 as in float64, by the same routes; and float32 gives what float64 gives."""
    found = {}
    for dtype in (D, torch.float32):
        torch.manual_seed(0)
        model = NETWORKS[name]().to(dtype)
        model.train()(data(dtype)[0])
        found[dtype], derivatives = products(NetworkFunction(model, cross_entropy, mode=mode), data(dtype))
        for order in (1, 2):
            assert derivatives.how_checked(order).startswith("within ")
            assert derivatives.how_checked(order).endswith(" of differences (float64, 8 examples)")
            assert "off differences" not in derivatives.used[order]
            assert not derivatives.used[order].startswith("difference")
    for exact, single in zip(found[D], found[torch.float32], strict=True):
        assert (single.double() - exact).norm() <= 2e-4 * exact.norm() + 1e-5


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("build", [lambda: resnet18(num_classes=10), lambda: WideResNet(3, 10, depth=10, width=1)])
def test_deep_networks_with_rectifiers_pass(build, mode):
    """Differences of single-precision gradients of these are off by a tenth and more."""
    torch.manual_seed(0)
    model = build()
    inputs = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    batch = inputs, torch.arange(16) % 10
    model.train()(inputs)
    network = NetworkFunction(model, cross_entropy, mode=mode, parameters=["*conv*", "*.weight", "*.bias"])
    check = RouteCheck(network)
    check.admit("reverse", 1, network.point(), batch)
    assert check.found["reverse", 1].startswith("within ")
    assert "float64, 8 examples" in check.found["reverse", 1]
