"""What operators of networks refuse, and what comes out as it is."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from eigensam.ground import InputError
from eigensam.landscapes import EmpiricalFisher, GaussNewton, Hessian, NetworkFunction

from .dense_truths import BATCHES, INPUTS, TARGETS, Apply, D, mlp, network_of, relative, squares


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_bad_points_and_data(operator):
    network = mlp()
    with pytest.raises(InputError, match=rf"the point has shape \(3,\); expected \({network.dim},\)"):
        operator(network, BATCHES, torch.zeros(3))
    with pytest.raises(InputError, match="the point holds NaN or infinity; training has diverged"):
        operator(network, BATCHES, network.point() * float("nan"))
    v = network.point()
    for graph_bytes in (0, 2**30):
        with pytest.raises(InputError, match="the data holds NaN"):
            operator(network, [(INPUTS * float("nan"), TARGETS)], graph_bytes=graph_bytes) @ v
        with pytest.raises(InputError, match="a batch has 13 inputs and 12 targets"):
            operator(network, [(INPUTS, TARGETS[:-1])], graph_bytes=graph_bytes) @ v
        with pytest.raises(InputError, match="there is no batch"):
            operator(network, [], graph_bytes=graph_bytes) @ v
        overflows = NetworkFunction(network.model, lambda z, y: squares(z, y) * float("inf"))
        with pytest.raises(InputError, match=r"a product is not finite|the loss of a batch is inf"):
            operator(overflows, BATCHES, graph_bytes=graph_bytes) @ v
    with pytest.raises(InputError, match="a vector has shape"):
        operator(network, BATCHES) @ v[:-1]
    with pytest.raises(InputError, match="ends after one pass"):
        operator(network, iter(BATCHES))


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_bad_losses(operator):
    network = mlp()
    v = network.point()

    def of(loss):
        return NetworkFunction(network.model, loss)

    for graph_bytes in (0, 2**30):
        with pytest.raises(
            InputError, match=r"the loss does not depend on the parameters .* give a differentiable loss"
        ):
            operator(of(lambda z, y: (z.argmax(1) == y).double().mean()), BATCHES, graph_bytes=graph_bytes) @ v
        with pytest.raises(InputError, match=r"the loss has shape \((7|1),.*\); expected the mean over the examples"):
            operator(of(lambda z, y: z.square()), BATCHES, graph_bytes=graph_bytes) @ v


def test_a_loader_that_shuffles_matters_with_batch_norm_in_train_mode_only():
    loader = DataLoader(TensorDataset(INPUTS, TARGETS), 5, shuffle=True)
    with pytest.raises(InputError, match="the data loader shuffles"):
        Hessian(network_of("batch norm", "train"), loader)
    Hessian(network_of("batch norm", "eval"), loader)
    Hessian(network_of("layer, group norm", "train"), loader)


@pytest.mark.parametrize("options", [{"reduction": "sum"}, {"weight": torch.tensor([1.0, 2.0, 5.0], dtype=D)}])
def test_the_fisher_needs_a_mean_over_examples(options):
    network = NetworkFunction(mlp().model, lambda z, y: cross_entropy(z, y, **options))
    with pytest.raises(InputError, match="the empirical Fisher needs a mean over examples"):
        EmpiricalFisher(network, BATCHES) @ network.point()


def test_outputs_that_are_not_one_tensor():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(8, 3).double()

        def forward(self, x):
            return {"logits": self.inner(x)}

    network = NetworkFunction(Two(), lambda z, y: cross_entropy(z["logits"], y))
    plain = NetworkFunction(network.model.inner, cross_entropy)
    assert relative(Hessian(network, BATCHES).dense(), Hessian(plain, BATCHES).dense()) < 1e-12
    for operator in (GaussNewton, EmpiricalFisher):
        with pytest.raises(InputError, match="the network's outputs are a dict; expected one tensor"):
            operator(network, BATCHES) @ network.point()


def test_unknown_methods():
    with pytest.raises(InputError, match="unknown method 'exact'; choose one of: auto, graph, taylor, reverse, diff"):
        Hessian(mlp(), BATCHES, method="exact")


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_errors_of_the_network_come_out_as_they_are(operator):
    error = KeyError("layer 7")

    def raising(z):
        raise error

    network = mlp()
    network.model[1] = Apply(raising)
    for graph_bytes in (0, 2**30):
        with pytest.raises(KeyError) as caught:
            operator(network, BATCHES, graph_bytes=graph_bytes) @ network.point()
        assert caught.value is error
