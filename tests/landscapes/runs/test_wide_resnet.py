"""The wide residual network: size, shapes, and a block in its own words."""

import torch

from eigensam.landscapes.runs.wide_resnet import WideResNet, _Block


def test_groups_halve_the_resolution_and_widen():
    network = WideResNet(3, 10, depth=10, width=2)
    x = network.stem(torch.zeros(1, 3, 16, 16))
    assert network.groups(x).shape == (1, 128, 4, 4)
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 10)


def test_block_is_the_sum_of_shortcut_and_residual():
    torch.manual_seed(0)
    block, x = _Block(4, 4, 1).eval(), torch.randn(1, 4, 5, 5)
    residual = block.conv2(block.norm2(block.conv1(block.norm1(x).relu())).relu())
    torch.testing.assert_close(block(x), x + residual)
