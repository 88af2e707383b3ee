"""Which losses may be averaged over batches, and by what weights."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import NetworkFunction
from eigensam.landscapes.networks.loss_counts import count_of, is_known_mean
from eigensam.landscapes.networks.mean_check import check_mean

X = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(9) % 3
WEIGHT = torch.tensor([1.0, 2.0, 4.0])


class Asleep(nn.Module):
    """A network that is new: all of its losses are nearly the same."""

    def __init__(self, scale):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.body = nn.Linear(4, 3, bias=False), nn.Linear(4, 4)
        with torch.no_grad():
            self.linear.weight *= scale

    def forward(self, x):
        return self.linear(self.body(x))


def checked(loss, batch=(X, Y), scale=1.0, **options):
    network = NetworkFunction(Asleep(scale), loss, **options)
    check_mean(network, list(network.model.parameters()), batch)


def targets_of(count):
    padded = Y.clone()
    padded[:count] = -100
    return padded


MEANS = {
    "cross-entropy": cross_entropy,
    "smoothed": nn.CrossEntropyLoss(label_smoothing=0.1),
    "squares": lambda z, y: functional.mse_loss(z, functional.one_hot(y, 3).to(z)),
    "margin": lambda z, y: functional.multi_margin_loss(z, y),
    "with a penalty": lambda z, y: cross_entropy(z, y) + 0.5,
    "one's own": lambda z, y: (z.logsumexp(1) - z.gather(1, y[:, None])[:, 0]).mean(),
}
OTHERS = {
    "sum": lambda z, y: cross_entropy(z, y, reduction="sum"),
    "weights": lambda z, y: cross_entropy(z, y, weight=WEIGHT.to(z.dtype)),
    "ignoring": lambda z, y: cross_entropy(z, y, ignore_index=0),
    "root": lambda z, y: cross_entropy(z, y).sqrt(),
    "largest": lambda z, y: cross_entropy(z, y, reduction="none").max(),
}


@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("name", MEANS)
def test_means_pass(name, scale):
    checked(MEANS[name], scale=scale)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 0.0])
@pytest.mark.parametrize("name", OTHERS)
def test_others_do_not(name, scale):
    """However alike the losses of the examples are."""
    with pytest.raises(InputError, match=r"the loss of a batch is .*, but the mean of the losses of its parts"):
        checked(OTHERS[name], scale=scale)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_outputs_of_other_kinds(scale):
    """As models that compute their loss themselves give them: the network is evaluated on the parts."""

    def forward(model, batch):
        z = model(batch["x"])
        return {"loss": cross_entropy(z, batch["y"]), "logits": z}

    def loss(outputs, batch):
        return outputs["loss"]

    checked(loss, {"x": X, "y": Y}, scale, forward=forward)
    padded = {"x": X, "y": targets_of(2)}
    with pytest.raises(InputError, match="count=lambda batch"):
        checked(loss, padded, scale, forward=forward)
    checked(loss, padded, scale, forward=forward, count=lambda batch: (batch["y"] >= 0).sum())


def test_parts_that_count_nothing_are_left_out():
    padded = targets_of(4)  # the first part is all padding
    checked(cross_entropy, (X, padded))
    own = {"loss": lambda z, y: cross_entropy(z, y), "batch": (X, padded)}
    with pytest.raises(InputError, match="nan"):
        checked(**own)
    checked(**own, count=lambda batch: (batch[1] >= 0).sum())


def test_one_example_and_rows_that_cannot_be_told_apart():
    checked(OTHERS["sum"], (X[:1], Y[:1]))
    checked(lambda z, y: z.sum(), (X, Y[:4]))


def test_batch_norm_that_sees_other_parts():
    network = NetworkFunction(
        nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)),
        lambda outputs, batch: outputs["loss"],
        mode="train",
        forward=lambda model, batch: {"loss": cross_entropy(model(batch[0]), batch[1])},
    )
    check_mean(network, list(network.model.parameters()), (X, Y))  # nothing can be said


LOSSES = [
    (cross_entropy, 7.0),
    (nn.CrossEntropyLoss(), 7.0),
    (nn.CrossEntropyLoss(weight=WEIGHT), float(WEIGHT[targets_of(2)[2:]].sum())),
    (functools.partial(cross_entropy, ignore_index=2), 7.0),
    (functional.nll_loss, 7.0),
    (lambda z, y: cross_entropy(z, y), 9.0),
    (nn.CrossEntropyLoss(reduction="sum"), 9.0),
    (functional.mse_loss, 9.0),
]


@pytest.mark.parametrize(("loss", "count"), LOSSES)
def test_counts(loss, count):
    padded = targets_of(2)
    if isinstance(loss, functools.partial):
        padded = Y.clone()
        padded[[0, 1]] = 2
        count = float((padded != 2).sum())
    assert count_of(loss, None, padded, (X, padded)) == count
    assert count_of(loss, lambda batch: 3, padded, (X, padded)) == 3.0


def test_what_is_known_to_be_a_mean():
    assert is_known_mean(cross_entropy)
    assert is_known_mean(functools.partial(cross_entropy, weight=WEIGHT))
    assert not is_known_mean(functional.mse_loss)  # of shapes that broadcast it is another
    assert not is_known_mean(functools.partial(cross_entropy, size_average=False))
    assert not is_known_mean(functools.partial(cross_entropy, reduction="sum"))
    assert not is_known_mean(nn.CrossEntropyLoss(reduction="none"))
    assert not is_known_mean(lambda z, y: cross_entropy(z, y))


def test_bad_counts():
    for bad in (-1.0, float("nan")):
        with pytest.raises(InputError, match=r"count\(batch\) is .*; expected what the batch's mean loss was divided"):
            count_of(cross_entropy, lambda batch, bad=bad: bad, Y, (X, Y))
    with pytest.raises(InputError, match="cannot be counted; give count=lambda"):
        count_of(functional.mse_loss, None, Y[:4], (X, Y[:4]))
