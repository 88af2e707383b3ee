"""The truth of the comparisons: against a dense Hessian, and refused where there is no single top eigenvector."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from eigensam.ground import InputError
from eigensam.landscapes import DenseOperator, NetworkLandscape, load_data
from eigensam.paper_figures.measurements.settled_top import SettledTop, loss_of_examples, settled_top

DATA = load_data("digits")
CPU = torch.device("cpu")


def dense_hessian(model, inputs, targets, size=None):
    """Of the mean over minibatches of this size, in train mode, by ``torch.autograd.functional``."""
    names = dict(model.named_parameters())
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    x = torch.cat([p.detach().flatten() for p in names.values()]).double()

    def loss(flat):
        parts = torch.split(flat, [p.numel() for p in names.values()])
        values = {name: part.view_as(p) for (name, p), part in zip(names.items(), parts, strict=True)}
        values |= {name: b.double().clone() if b.is_floating_point() else b.clone() for name, b in buffers.items()}
        found = [
            cross_entropy(torch.func.functional_call(model, values, (a.double(),)), b)
            for a, b in zip(inputs.split(size or len(inputs)), targets.split(size or len(inputs)), strict=True)
        ]
        return torch.stack(found).mean()

    return torch.autograd.functional.hessian(loss, x)


def small(normalised=False):
    torch.manual_seed(0)
    norm = [nn.BatchNorm1d(3)] if normalised else []
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4, 3), *norm, nn.GELU(), nn.Linear(3, 10))


def rows(landscape):
    inputs, targets = zip(*landscape.batches, strict=True)
    return torch.cat(inputs), torch.cat(targets)


@pytest.mark.parametrize("normalised", [False, True])
def test_against_a_dense_hessian(normalised):
    model = small(normalised)
    landscape = loss_of_examples(model, DATA, 80, "a test", CPU, 40)
    top = settled_top(landscape)
    full = dense_hessian(model, *rows(landscape), 40 if normalised else None)
    values, vectors = torch.linalg.eigh(full)
    assert list(top.values) == pytest.approx(values[-2:].flip(0).tolist(), rel=1e-3)
    assert top.resolved
    v = torch.randn(landscape.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    v /= v.norm()
    assert top.alignment(v) == pytest.approx(abs(float(v @ vectors[:, -1])), abs=2e-3)
    assert top.in_plane(v) == pytest.approx(float((v @ vectors[:, -2:]).norm()), abs=2e-3)
    assert top.ratio(v) == pytest.approx(float(v @ full @ v / values[-1]), abs=2e-3)
    assert top.gap == pytest.approx(float((values[-1] - values[-2]) / values[-1]), abs=5e-3)
    assert abs(float(vectors[:, -1] @ top.vectors[0].double())) > math.sqrt(1 - top.sine**2) - 1e-6


def test_batch_norm_changes_it():
    """Wrong on purpose: all examples normalised together are another loss."""
    model = small(True)
    parts, together = (loss_of_examples(model, DATA, 80, "a test", CPU, size) for size in (40, 0))
    assert settled_top(parts).values[0] != pytest.approx(settled_top(together).values[0], rel=1e-3)


def test_a_double_eigenvalue_has_no_top_eigenvector():
    """Two inputs of equal variance: H is a multiple of the identity."""
    model = nn.Linear(2, 1, bias=False)
    landscape = NetworkLandscape.from_tensors(model, mse_loss, torch.eye(2), torch.zeros(2, 1))
    top, v = settled_top(landscape), torch.tensor([0.6, 0.8])
    assert not top.resolved
    assert math.isnan(top.alignment(v))
    assert top.in_plane(v) == pytest.approx(1)
    assert top.ratio(v) == pytest.approx(1)
    assert top.gap == pytest.approx(0, abs=1e-6)
    wider = NetworkLandscape.from_tensors(model, mse_loss, torch.diag(torch.tensor([1.0, 2.0])), torch.zeros(2, 1))
    assert settled_top(wider).alignment(v) == pytest.approx(0.8)


def test_where_lambda_1_is_not_positive_nothing_is_a_share_of_it():
    operator = DenseOperator(-torch.eye(2))
    top = SettledTop(operator, (-1.0, -1.0), torch.eye(2), math.inf, True)
    assert math.isnan(top.ratio(torch.tensor([1.0, 0.0])))
    assert math.isnan(top.gap)


def test_examples_are_drawn_by_their_words():
    first, same, other = (rows(loss_of_examples(small(), DATA, 30, w, CPU))[1].tolist() for w in "aab")
    assert first == same != other
    assert len(rows(loss_of_examples(small(), DATA, 0, "a", CPU))[1]) == len(DATA.train_targets)


def test_refusals():
    with pytest.raises(InputError, match="2000 examples are asked for, and there are 1437; ask for fewer, or 0 for"):
        loss_of_examples(small(), DATA, 2000, "a", CPU)
    one = NetworkLandscape.from_tensors(nn.Linear(1, 1, bias=False), mse_loss, torch.ones(2, 1), torch.ones(2, 1))
    with pytest.raises(InputError, match="1 parameter has no second eigenvalue; give a network with more"):
        settled_top(one)
