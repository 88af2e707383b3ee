"""Graphs that an operator keeps between products: equal products, freed memory, its estimate."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import EmpiricalFisher, GaussNewton, Hessian, NetworkFunction
from eigensam.landscapes.networks.activation_bytes import activation_bytes

from .dense_truths import BATCHES, D, mlp, network_of


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_budgets_of_memory_give_equal_products(operator):
    network = network_of("batch norm", "train")
    v = torch.randn(network.dim, generator=torch.Generator().manual_seed(0), dtype=D)
    products = []
    for graph_bytes in (0, 2000, 2**30):
        matrix = operator(network, BATCHES, graph_bytes=graph_bytes)
        products.append(matrix @ v)
        assert bool(matrix._kept) == (graph_bytes == 2**30)
        assert torch.equal(matrix @ v, products[-1])  # bit for bit
        torch.testing.assert_close(products[-1], products[0], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_kept_graphs_go_with_their_operator(operator):
    gc.collect()
    gc.disable()  # without waiting for the collector of cycles
    try:
        matrix = operator(mlp(), BATCHES)
        matrix @ matrix.x
        kept = [weakref.ref(product) for _, product in matrix._kept]
        assert all(reference() is not None for reference in kept)
        del matrix
        assert all(reference() is None for reference in kept)
    finally:
        gc.enable()


def test_the_estimate_of_memory_is_that_of_the_activations():
    model = nn.Sequential(*[layer for _ in range(3) for layer in (nn.Linear(64, 64), nn.Tanh())], nn.Linear(64, 3))
    network = NetworkFunction(model, cross_entropy)
    batch = torch.randn(200, 64), torch.arange(200) % 3
    network.loss([p.detach() for p in model.parameters()], batch)  # once, it is seen whether inputs are written to
    hidden = 200 * 64 * 4  # bytes of one layer: the three outputs of tanh are saved; the inputs are there anyway
    assert 3 * hidden <= activation_bytes(network, network.point(), batch) <= 3.3 * hidden
    last = NetworkFunction(model, cross_entropy, parameters=["6.*"])
    assert activation_bytes(last, last.point(), batch) <= 1.3 * hidden  # no graph below the first coordinate
