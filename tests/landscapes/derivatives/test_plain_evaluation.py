"""Networks evaluated so that their gradient can be differentiated: and torch as it was, after."""

import pytest
import torch
import torch.utils.checkpoint as checkpoints
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from eigensam.ground import InputError
from eigensam.landscapes.derivatives import plain_evaluation as module
from eigensam.landscapes.derivatives.plain_evaluation import differentiable, plain_evaluation

NAMES = [patch.name for patch in module._CHECKPOINTING]


OPTIONS = [{"use_reentrant": True}, {"use_reentrant": False}, {"use_reentrant": False, "preserve_rng_state": False}]


@pytest.mark.parametrize("options", OPTIONS)
def test_checkpointed_segments_have_all_derivatives(options):
    x = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    before = {name: getattr(checkpoints, name) for name in NAMES}
    with plain_evaluation():
        y = checkpoint(lambda a, b: (a * b.sin()).sum(), x, x + 1, **options)
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), x)
    assert {name: getattr(checkpoints, name) for name in NAMES} == before
    truth = 2 * (x + 1).cos() - x * (x + 1).sin()
    torch.testing.assert_close(h, truth)


def test_sequences_and_errors_inside():
    layers = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2), nn.Tanh())
    x = torch.ones(1, 2, requires_grad=True)
    with plain_evaluation():
        torch.testing.assert_close(checkpoint_sequential(layers, 2, x, use_reentrant=False), layers(x))

    def broken(x):
        raise KeyError("layer 7")

    for reentrant in (True, False):
        with pytest.raises(KeyError, match="layer 7"), plain_evaluation():
            checkpoint(broken, x, use_reentrant=reentrant)
        checkpoint(torch.sin, x, use_reentrant=reentrant).sum().backward()  # as usual, after


def test_a_version_of_torch_that_does_otherwise_is_refused(monkeypatch):
    patches = [patch for patch in module._CHECKPOINTING if patch.name == "_CheckpointFrame"]
    monkeypatch.setattr(module, "_CHECKPOINTING", patches)
    with pytest.raises(InputError, match="activation checkpointing of a kind"), plain_evaluation():
        checkpoint(torch.sin, torch.ones(2, requires_grad=True), use_reentrant=False)


def test_attention_can_be_differentiated_twice():
    q = torch.randn(1, 1, 3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with plain_evaluation():
        y = scaled_dot_product_attention(q, q, q).square().sum()
    (g,) = torch.autograd.grad(y, q, create_graph=True)
    assert torch.autograd.grad(g.square().sum(), q)[0].isfinite().all()


def test_the_callers_contexts():
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), differentiable(torch.device("cpu")):
        x = torch.ones(2, 2, requires_grad=True)
        assert (x @ x).dtype == torch.float32
        assert (x @ x).requires_grad
