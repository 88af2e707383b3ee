"""Whatever a network keeps in buffers moves as in one plain training step, and all passes see the same random numbers."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from .checks import check_buffers, check_randomness
from .kinds import DATA, every_kind, every_two_pass, flat, loss_of, make, network, step_in_halves, trained


class _Counting(nn.Module):
    """Buffers of one's own: changed in place, by assignment, and one that the first pass makes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(6, dtype=torch.float64))
        self.register_buffer("largest", None)

    def forward(self, x):
        with torch.no_grad():
            self.calls += 1
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
            top = x.abs().max()
            self.largest = top if self.largest is None else torch.maximum(self.largest, top)
        return x - self.mean


class _Channels(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.view(-1, 2, 3)).flatten(1)


class _Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.reentrant = reentrant
        self.inner = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.BatchNorm1d(6), nn.Dropout(0.2))

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=self.reentrant)


def _spectral_by_hook():
    return nn.utils.spectral_norm(nn.Linear(6, 6))


def _spectral_by_parametrization():
    return nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6))


MODELS = {
    "batch norm": lambda: nn.BatchNorm1d(6),
    "cumulative batch norm": lambda: nn.BatchNorm1d(6, momentum=None),
    "instance norm": lambda: _Channels(nn.InstanceNorm1d(2, affine=True, track_running_stats=True)),
    "spectral norm by hook": _spectral_by_hook,
    "spectral norm by parametrization": _spectral_by_parametrization,
    "own": _Counting,
    "checkpointed": lambda: _Checkpointed(False),
    "checkpointed, reentrant": lambda: _Checkpointed(True),
}
every_model = pytest.mark.parametrize("name", MODELS)


def _model(name):
    torch.manual_seed(0)
    return network(nn.Linear(4, 6), MODELS[name](), nn.Tanh(), nn.Linear(6, 3))


@every_kind
@every_model
def test_they_move_as_in_one_plain_step(kind, name):
    check_buffers(kind, lambda: _model(name))


@every_two_pass
@pytest.mark.parametrize("name", [name for name in MODELS if "checkpointed" not in name])
def test_they_move_once_in_halves(kind, name):
    model = _model(name)
    twin = copy.deepcopy(model)
    optimizer = make(kind, model.parameters(), lr=0.1)
    for _ in range(2):
        twin.load_state_dict(model.state_dict())
        loss_of(twin)().backward()
        step_in_halves(optimizer, loss_of(model))
        for (where, buffer), other in zip(model.named_buffers(), twin.buffers(), strict=True):
            assert torch.equal(buffer, other), where


@every_kind
@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpointed_network_takes_the_same_steps(kind, reentrant):
    ends = []
    for kept in (False, True):
        torch.manual_seed(0)
        inner = _Checkpointed(reentrant).inner
        model = network(nn.Linear(4, 6), _Checkpointed(reentrant), nn.Linear(6, 3))
        if kept:
            model[1].forward = model[1].inner.forward
        del inner
        optimizer = make(kind, model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.step(loss_of(model))
        ends.append(flat(model))
    torch.testing.assert_close(*ends, rtol=1e-10, atol=1e-12)


@every_kind
def test_a_model_copied_with_its_optimizer(kind):
    """Its modules have registered no buffers; they moved twice."""
    model = _model("batch norm")
    optimizer = make(kind, model.parameters(), lr=0.1)
    optimizer.step(loss_of(model))
    twin, other = copy.deepcopy((model, optimizer))
    other.step(loss_of(twin))
    assert twin[1].num_batches_tracked == 2


@every_kind
def test_evaluation_in_between_changes_nothing(kind):
    """Statistics of ``eval`` mode stay; and a step in ``eval`` mode is one, too."""
    model = _model("batch norm").eval()
    before = copy.deepcopy(dict(model.named_buffers()))
    make(kind, model.parameters(), lr=0.1).step(loss_of(model))
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


@every_kind
def test_compiled_batch_norm(kind):
    """Compiled code calls no hooks; a momentum of zero was once the way to leave statistics alone."""
    model = _model("batch norm").float()
    twin = copy.deepcopy(model)
    compiled = torch.compile(model, backend="aot_eager")
    optimizer, other = make(kind, compiled.parameters(), lr=0.1), make(kind, twin.parameters(), lr=0.1)
    x, labels = DATA[0].float(), DATA[1]
    try:
        for _ in range(3):
            optimizer.step(lambda: nn.functional.cross_entropy(compiled(x), labels))
            other.step(loss_of(twin))
    finally:
        torch.compiler.reset()
    torch.testing.assert_close(flat(model), flat(twin), rtol=1e-4, atol=1e-6)
    for (name, buffer), truth in zip(model.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(buffer, truth, rtol=1e-4, atol=1e-6, msg=name)
    assert model[1].num_batches_tracked == 3


@every_kind
@pytest.mark.parametrize("source", ["torch", "numpy", "python", "dropout"])
def test_random_numbers_are_the_same_in_all_passes(kind, source):
    check_randomness(kind, source)


@every_kind
def test_the_stream_of_random_numbers_is_that_of_a_plain_training(kind):
    """After a step the generators stand where one pass leaves them, so data are shuffled as with any optimizer."""
    stands = []
    for plain in (True, False):
        model = network()
        optimizer = make(kind, model.parameters(), lr=0.1)
        torch.manual_seed(3)
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)

        def closure(model=model):
            noise = torch.rand(3) + random.random() + float(np.random.rand())  # noqa: NPY002
            return loss_of(model)() * noise.sum()

        for _ in range(2):
            if plain:
                closure().backward()
            else:
                optimizer.step(closure)
        stands.append((torch.rand(1).item(), random.random(), float(np.random.rand())))  # noqa: NPY002
    assert stands[0] == stands[1]


def test_the_inductor():
    """One kind is enough: the compiled code is the same."""
    from eigensam.optim import SAM

    model = _model("batch norm").float()
    twin = copy.deepcopy(model)
    compiled = torch.compile(model)
    x, labels = DATA[0].float(), DATA[1]
    optimizer, other = SAM(compiled.parameters(), lr=0.1), SAM(twin.parameters(), lr=0.1)
    try:
        for _ in range(2):
            optimizer.step(lambda: nn.functional.cross_entropy(compiled(x), labels))
            other.step(loss_of(twin))
    finally:
        torch.compiler.reset()
    torch.testing.assert_close(flat(model), flat(twin), rtol=1e-4, atol=1e-6)
    for (name, buffer), truth in zip(model.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(buffer, truth, rtol=1e-4, atol=1e-6, msg=name)
    assert not torch.equal(flat(twin).double(), trained(SAM, 2))
