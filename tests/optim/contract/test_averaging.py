"""Averages of weights and other layouts of memory: nothing that a training does beside the steps disturbs them."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn

from .kinds import DATA, every_kind, flat, loss_of, make, network


def _norm():
    return network(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))


@every_kind
@pytest.mark.parametrize("average", ["mean", "exponential"])
def test_averaged_models(kind, average):
    """The average of the points after steps; its own statistics are made by a pass of its own."""
    model = _norm()
    options = {} if average == "mean" else {"multi_avg_fn": get_ema_multi_avg_fn(0.75)}
    averaged = AveragedModel(model, **options)
    optimizer = make(kind, model.parameters(), lr=0.1, momentum=0.9)
    scheduler = SWALR(optimizer, swa_lr=0.05, anneal_epochs=2)
    points = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            optimizer.step(loss_of(model))
            averaged.update_parameters(model)
            points.append(flat(model))
            scheduler.step()
    truth = points[0]
    for n, point in enumerate(points[1:], 2):
        truth = torch.lerp(truth, point, 1 / n if average == "mean" else 0.25)
    torch.testing.assert_close(flat(averaged), truth, rtol=1e-12, atol=1e-14)
    moved = {name: b.clone() for name, b in model.named_buffers()}
    update_bn([DATA[0]], averaged)
    assert all(torch.equal(b, moved[name]) for name, b in model.named_buffers())
    assert averaged.module[1].num_batches_tracked == 1
    optimizer.step(loss_of(model))
    assert averaged.module[1].num_batches_tracked == 1
    assert model[1].num_batches_tracked == 5


@every_kind
def test_channels_last(kind):
    """Same steps, and the layout stays."""
    torch.manual_seed(0)
    first = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ).double()
    second = copy.deepcopy(first).to(memory_format=torch.channels_last)
    x, labels = torch.randn(6, 3, 5, 5, dtype=torch.float64), torch.arange(6) % 3
    for model in (first, second):
        inputs = x.to(memory_format=torch.channels_last) if model is second else x
        optimizer = make(kind, model.parameters(), torch.optim.Adam, lr=0.01)
        for _ in range(4):
            optimizer.step(lambda m=model, i=inputs: nn.functional.cross_entropy(m(i), labels))
    torch.testing.assert_close(flat(second), flat(first), rtol=1e-6, atol=1e-8)
    assert second[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not second[0].weight.is_contiguous()


@every_kind
def test_inference_and_no_grad_around_a_step(kind):
    """A step needs gradients whatever surrounds it."""
    model, twin = network(), network()
    optimizer, other = make(kind, model.parameters(), lr=0.1), make(kind, twin.parameters(), lr=0.1)
    for _ in range(4):
        with torch.no_grad():
            optimizer.step(loss_of(model))
        other.step(loss_of(twin))
    assert torch.equal(flat(model), flat(twin))


@every_kind
def test_parameters_that_are_moved_and_replaced_in_between(kind):
    """``model.to(dtype)`` and ``load_state_dict`` keep the parameters, not their memory."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    start = copy.deepcopy(model.state_dict())
    for _ in range(2):
        optimizer.step(loss_of(model))
    model.load_state_dict(start)
    model.float()
    fresh = network().float()
    other = make(kind, fresh.parameters(), lr=0.1)
    other.step(loss_of(fresh))
    if getattr(optimizer, "kept_numbers", ()) or "sharpness_aware" in str(optimizer.state_dict()["state"]):
        # it has learnt something on the way
        optimizer.step(loss_of(model))
        assert flat(model).isfinite().all()
        return
    optimizer.step(loss_of(model))
    torch.testing.assert_close(flat(model), flat(fresh), rtol=1e-5, atol=1e-6)
