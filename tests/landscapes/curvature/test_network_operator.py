"""Operators of networks against dense truths in float64."""

import copy

import pytest
import torch
from scipy.sparse.linalg import eigsh
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from eigensam.landscapes import EmpiricalFisher, GaussNewton, Hessian, NetworkFunction, flatten, lanczos
from eigensam.landscapes.networks import network_derivatives as routes

from .dense_truths import (
    BATCHES,
    EXACT,
    INPUTS,
    NETWORKS,
    TARGETS,
    Apply,
    D,
    dense_fisher,
    dense_gauss_newton,
    dense_hessian,
    differenced_hessian,
    mean_over,
    mlp,
    network_of,
    relative,
    squares,
)

MODES = [(name, mode) for name in NETWORKS for mode in ("eval", "train") if mode == "eval" or name == "batch norm"]


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_the_hessian_of_every_layer(name, mode):
    """Each method against both truths, on batches of unequal size, by rows and by single vectors; and on one batch."""
    network = network_of(name, mode)
    parts = [dense_hessian(network, [batch]) for batch in BATCHES]
    truth = mean_over(parts, BATCHES)
    assert relative(differenced_hessian(network, BATCHES), truth) < 1e-7
    automatic = Hessian(network, BATCHES)
    assert relative(automatic @ truth[:3], truth[:3] @ truth) < 1e-9
    assert automatic.used == "graph"
    for method in EXACT:
        operator = Hessian(network, BATCHES, method=method)
        assert relative(operator.dense(), truth) < 1e-9
        assert operator.used == method
        one = Hessian(network, BATCHES[:1], method=method)
        assert relative(one @ truth[0], parts[0] @ truth[0]) < 1e-9
        assert relative(one @ truth[:3], truth[:3] @ parts[0]) < 1e-9
    assert relative(sum(parts) / 3, truth) > 1e-3  # wrong on purpose: sizes count


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_gauss_newton_and_fisher_of_every_layer(name, mode):
    network = network_of(name, mode)
    for batches, graph_bytes in ((BATCHES[:1], 2**30), (BATCHES, 0)):
        gauss_newton, fisher = dense_gauss_newton(network, batches), dense_fisher(network, batches)
        operator = GaussNewton(network, batches, graph_bytes=graph_bytes)
        assert relative(operator.dense(), gauss_newton) < 1e-9
        assert operator.semidefinite == (network.loss_function is cross_entropy)
        assert relative(EmpiricalFisher(network, batches, graph_bytes=graph_bytes).dense(), fisher) < 1e-9
    # wrong on purpose: three different matrices
    assert relative(gauss_newton, dense_hessian(network, batches)) > 1e-3
    assert relative(fisher, gauss_newton) > 1e-2


def test_gauss_newton_is_the_hessian_where_the_network_is_linear():
    torch.manual_seed(0)
    network = NetworkFunction(nn.Linear(8, 3).double(), cross_entropy)
    assert relative(GaussNewton(network, BATCHES).dense(), Hessian(network, BATCHES).dense()) < 1e-12


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_a_loader_and_a_subset_of_parameters(operator):
    whole, part = mlp(), network_of("linear, tanh, squares", parameters=["2.*"])
    loader = DataLoader(TensorDataset(INPUTS, TARGETS), 5, shuffle=True, generator=torch.Generator().manual_seed(0))
    truth = operator(whole, [(INPUTS, TARGETS)]).dense()[-part.dim :, -part.dim :]
    assert relative(operator(part, loader).dense(), truth) < 1e-9
    assert relative(operator(part, loader, graph_bytes=0).dense(), truth) < 1e-9
    assert relative(dense_hessian(part, BATCHES), dense_hessian(whole, BATCHES)[-part.dim :, -part.dim :]) < 1e-12


def test_another_point_and_another_type_of_it():
    network = mlp()
    x = torch.randn(network.dim, generator=torch.Generator().manual_seed(5), dtype=torch.float32)
    operator = Hessian(network, BATCHES, x.requires_grad_())
    assert operator.x.dtype == D
    network.load_point(x.double())
    assert relative(operator.dense(), dense_hessian(network, BATCHES)) < 1e-9


@pytest.mark.parametrize("name", ["linear, tanh, squares", "batch norm", "transformer"])
@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_float32_against_float64(name, operator):
    network = network_of(name, "train")
    single = NetworkFunction(copy.deepcopy(network.model).float(), network.loss_function, mode="train")
    batches = [(inputs.float(), targets) for inputs, targets in BATCHES]
    truth, found = operator(network, BATCHES).dense(), operator(single, batches)
    assert found.dtype == torch.float32
    assert relative(found.dense().double(), truth) < 3e-6
    assert (found @ torch.ones(network.dim, dtype=D)).dtype == D


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_rows_are_single_products_and_scipy_agrees(operator):
    network = mlp()
    for graph_bytes in (0, 2**30):
        matrix = operator(network, BATCHES, graph_bytes=graph_bytes)
        rows = torch.randn(4, network.dim, generator=torch.Generator().manual_seed(0), dtype=D)
        torch.testing.assert_close(matrix @ rows, torch.stack([matrix @ row for row in rows]), rtol=1e-11, atol=1e-13)
        torch.testing.assert_close(
            torch.from_numpy(matrix.to_scipy() @ rows.mT.numpy()).mT, matrix @ rows, rtol=1e-12, atol=1e-14
        )
    values = torch.linalg.eigvalsh(matrix.dense())
    found = eigsh(matrix.to_scipy(), 2, which="LA", return_eigenvectors=False)
    assert sorted(found) == pytest.approx(values[-2:].tolist(), rel=1e-9)
    assert lanczos(matrix, 2, tolerance=1e-9).values.tolist() == pytest.approx(sorted(found)[::-1], rel=1e-8)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(8, 8, bias=False), nn.Linear(8, 8)
        self.decoder.weight = self.encoder.weight
        self.register_buffer("scale", torch.full((8,), 0.5))

    def forward(self, x):
        return self.decoder(torch.tanh(self.encoder(x)) * self.scale)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head, self.unused = nn.Embedding(6, 3), nn.Linear(3, 3), nn.Linear(2, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.table(x).mean(1)))


CASES = {
    "ignores outputs": (
        lambda: nn.Sequential(nn.Linear(8, 3), nn.Tanh(), nn.Linear(3, 5)),
        lambda z, y: cross_entropy(z[:, :3], y),
        INPUTS,
    ),
    "tied weights, a buffer": (Tied, cross_entropy, INPUTS),
    "integers, unused parameters": (Words, cross_entropy, (INPUTS[:, :4] * 3).long().abs() % 6),
}


@pytest.mark.parametrize("case", CASES)
def test_networks_out_of_the_ordinary(case):
    build, loss, inputs = CASES[case]
    torch.manual_seed(0)
    network = NetworkFunction(build().double(), loss)
    batches = [(inputs[:8], TARGETS[:8]), (inputs[8:], TARGETS[8:])]
    truth = dense_hessian(network, batches)
    assert relative(differenced_hessian(network, batches), truth) < 1e-7
    for method in EXACT:
        assert relative(Hessian(network, batches, method=method).dense(), truth) < 1e-9
    assert relative(Hessian(network, batches, method="difference") @ truth[:2], truth[:2] @ truth) < 1e-7
    assert relative(GaussNewton(network, batches).dense(), dense_gauss_newton(network, batches)) < 1e-9
    assert relative(EmpiricalFisher(network, batches).dense(), dense_fisher(network, batches)) < 1e-9
    if "unused" in case:
        assert not truth[-6:].any()


def test_auto_tries_the_taylor_pass_on_large_problems(monkeypatch):
    monkeypatch.setattr(routes, "_SMALL", 0)
    operator = Hessian(mlp(), BATCHES, graph_bytes=0)
    assert operator.used == "nothing yet"
    v = torch.ones(operator.dim, dtype=D)
    found = operator @ v
    assert operator.used == "taylor"
    assert relative(found, dense_hessian(mlp(), BATCHES) @ v) < 1e-9
    network = mlp()
    network.model[1] = Apply(lambda z: torch.cumsum(z, 1).tanh())
    operator = Hessian(network, BATCHES, graph_bytes=0)
    assert relative(operator @ v, dense_hessian(network, BATCHES) @ v) < 1e-9
    assert operator.used == "reverse (refused: taylor: cumsum)"


@pytest.mark.parametrize("method", ["auto", "graph", "reverse"])
def test_a_loss_linear_in_the_parameters_has_no_curvature(method):
    network = NetworkFunction(nn.Linear(8, 3).double(), lambda z, y: z.mean())
    for given in (network, NetworkFunction(network.model, network.loss_function, parameters=["bias"])):
        for graph_bytes in (0, 2**30):
            matrix = Hessian(given, BATCHES, method=method, graph_bytes=graph_bytes)
            assert not matrix.dense().any()
            assert not (matrix @ matrix.x).any()
    assert not GaussNewton(network, BATCHES).dense().any()


def test_semidefinite_is_said_where_it_is_known():
    model = nn.Linear(8, 3).double()
    for loss, known in (
        (cross_entropy, True),
        (mse_loss, True),
        (nn.CrossEntropyLoss(), True),
        (nn.MSELoss(), True),
        (squares, False),
    ):
        assert GaussNewton(NetworkFunction(model, loss), BATCHES).semidefinite == known
    assert GaussNewton(NetworkFunction(model, squares), BATCHES, convex=True).semidefinite
    assert EmpiricalFisher(NetworkFunction(model, squares), BATCHES).semidefinite
    assert not Hessian(NetworkFunction(model, squares), BATCHES).semidefinite


def test_flat_vectors_are_in_the_order_of_the_names():
    network = mlp()
    assert torch.equal(network.point(), flatten(p.detach() for p in network.model.parameters()))
