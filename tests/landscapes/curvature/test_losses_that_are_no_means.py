"""Losses that are no means over examples: not averaged over batches as if they were."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import EmpiricalFisher, GaussNewton, Hessian, NetworkDerivatives, NetworkLandscape

from .small_networks import BATCH, D, X, Y, network_of, relative


def summed(z, y):
    return cross_entropy(z, y, reduction="sum")


def weighted(z, y):
    return cross_entropy(z, y, weight=torch.tensor([1.0, 2.0, 5.0], dtype=z.dtype))


def root(z, y):
    return cross_entropy(z, y).sqrt()


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
@pytest.mark.parametrize("loss", [summed, weighted, root])
def test_losses_that_are_no_means_are_not_averaged(operator, loss):
    network, halves = network_of(nn.Tanh(), loss=loss), [(X[:4], Y[:4]), (X[4:], Y[4:])]
    for graph_bytes in (0, 2**30):
        with pytest.raises(InputError, match=r"no sum, no weights|no reduction=\"sum\".*count=lambda"):
            operator(network, halves, graph_bytes=graph_bytes) @ network.point()
    if (
        operator is not EmpiricalFisher
    ):  # one batch alone may have any loss, and so may minibatches with weights of their own
        one = operator(network, [BATCH], **({"convex": False} if operator is GaussNewton else {}))
        assert (one @ network.point()).any()
        parts = [operator(network, [half]).dense() for half in halves]
        both = operator(network, halves, weights=[1.0, 3.0]).dense()
        torch.testing.assert_close(both, 0.25 * parts[0] + 0.75 * parts[1])


PADDED = Y.clone()
PADDED[[0, 1, 2, 8]] = -100
IGNORING = {
    "module": nn.CrossEntropyLoss(ignore_index=-100),
    "function": cross_entropy,
    "one's own": lambda z, y: cross_entropy(z, y),
}


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
@pytest.mark.parametrize("loss", IGNORING)
def test_ignored_targets(operator, loss):
    """Ten rows, four of them padding, in one batch, in two that have three and one of them, and without them."""
    kept = PADDED >= 0
    truth = operator(network_of(nn.Tanh()), [(X[kept], PADDED[kept])]).dense()
    halves = [(X[:5], PADDED[:5]), (X[5:], PADDED[5:])]

    def count(batch):
        return (batch[1] >= 0).sum()

    if loss == "one's own":
        network = network_of(nn.Tanh(), loss=IGNORING[loss])
        with pytest.raises(InputError, match=r"count=lambda|no weights of classes"):
            operator(network, halves) @ network.point()
        network = network_of(nn.Tanh(), loss=IGNORING[loss], count=count)
    else:
        network = network_of(nn.Tanh(), loss=IGNORING[loss])
    for batches in ([(X, PADDED)], halves, [(X[:3], PADDED[:3]), (X[3:], PADDED[3:])]):
        assert relative(operator(network, batches).dense(), truth) < 1e-10


def test_class_weights_of_torchs_loss_count():
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 5.0], dtype=D))
    network = network_of(nn.Tanh(), loss=loss)
    truth = Hessian(network, [BATCH]).dense()
    assert relative(Hessian(network, [(X[:4], Y[:4]), (X[4:], Y[4:])]).dense(), truth) < 1e-10
    chunked = NetworkLandscape.from_tensors(network.model, loss, *BATCH, chunk_size=3)
    assert relative(chunked.hessian_product(chunked.point(), chunked.point()), truth @ network.point()) < 1e-10


def test_a_loss_that_looks_at_its_values_has_a_fisher():
    def loss(z, y):
        return functional.gaussian_nll_loss(z[:, 0], y.to(z), z[:, 1].exp())

    network = network_of(nn.Tanh(), loss=loss)
    derivatives, x = NetworkDerivatives(network), network.point()
    rows = [derivatives.contracted_gradient(x, [(1.0, ())], (X[i : i + 1], Y[i : i + 1])) for i in range(10)]
    gradients = torch.stack(rows)
    assert relative(EmpiricalFisher(network, [BATCH]).dense(), gradients.mT @ gradients / 10) < 1e-12
