"""Accelerate: the script of docs/training-loops.md trains what SAM written down by hand does, SGD does not."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.optim import SAM, EigenSAM

from .by_hand import assert_trained_alike, flat, sam_by_hand
from .page import quiet, run

with quiet():
    accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed, whose loop this is")


@pytest.fixture(autouse=True)
def _forgotten():
    """Accelerators share one state, also with other tests."""
    from accelerate.state import AcceleratorState, GradientState

    def forget():
        AcceleratorState._reset_state(True)
        GradientState._reset_state()

    forget()
    yield
    forget()


def test_script_trains_as_by_hand():
    found = run("Accelerate")["model"]
    trained = []
    for rho in (0.1, 0.0):
        start = run("Accelerate", before="accelerator = ")
        model = start["model"]
        losses = [lambda x=x, y=y, model=model: cross_entropy(model(x), y) for x, y in start["loader"]]
        sam_by_hand(model, losses, rho=rho, lr=0.1, clip=0.2)
        trained.append(model)
    assert_trained_alike(found, *trained)


def _model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def _data():
    made = torch.Generator().manual_seed(7)
    return [(torch.randn(12, 4, generator=made), torch.arange(12) % 3) for _ in range(6)]


def _truths(dtype=None, scale=1.0):
    trained = []
    for rho in (0.2, 0.0):
        model = _model()

        def loss(x, y, model=model):
            with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
                output = model(x)
            return scale * cross_entropy(output.float(), y)

        losses = [lambda x=x, y=y, loss=loss: loss(x, y) for x, y in _data()]
        sam_by_hand(model, losses, rho=rho, lr=0.1 / scale)
        trained.append(model)
    return trained


def _prepared(kind=SAM, **options):
    with quiet():
        accelerator = accelerate.Accelerator(cpu=True, **options)
        model = _model()
        optimizer = kind(model.parameters(), rho=0.2, lr=0.1, momentum=0.9)
        return accelerator, *accelerator.prepare(model, optimizer)


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("way", ["loss", "backward", "halves"])
def test_ways(way, precision):
    accelerator, model, optimizer = _prepared(mixed_precision=precision)

    def backward(x, y):
        optimizer.zero_grad()
        accelerator.backward(cross_entropy(model(x), y))

    for x, y in _data():
        if way == "loss":
            optimizer.step(lambda x=x, y=y: cross_entropy(model(x), y))
        elif way == "backward":
            optimizer.step(lambda x=x, y=y: backward(x, y))
        else:
            backward(x, y)
            optimizer.optimizer.first_step()
            backward(x, y)
            optimizer.step()
    found = accelerator.unwrap_model(model)
    narrow = precision == "bf16"
    assert_trained_alike(found, *_truths(torch.bfloat16 if narrow else None), narrow)


class _Scaled:
    """What Accelerate does under fp16, which it allows on accelerators only."""

    def __init__(self):
        _prepared()
        self.model = _model()
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
        inner = SAM(self.model.parameters(), rho=0.2, lr=0.1, momentum=0.9)
        self.optimizer = accelerate.optimizer.AcceleratedOptimizer(inner, scaler=self.scaler)

    def backward(self, x, y):
        with torch.autocast("cpu", dtype=torch.float16):
            output = self.model(x)
        loss = cross_entropy(output.float(), y)
        self.scaler.scale(loss).backward()
        return loss


def test_fp16_in_two_halves():
    scaled = _Scaled()
    for x, y in _data():
        scaled.backward(x, y)
        scaled.optimizer.optimizer.first_step(scaler=scaled.scaler)
        scaled.backward(x, y)
        scaled.optimizer.step()
        assert not scaled.optimizer.step_was_skipped
        scaled.optimizer.zero_grad()
    assert_trained_alike(scaled.model, *_truths(torch.float16, scale=2.0**10), narrow=True)


def test_fp16_with_a_closure_is_refused():
    scaled = _Scaled()
    x, y = _data()[0]
    scaled.scaler.scale(torch.zeros(()))  # at its first use torch itself refuses
    with pytest.raises(InputError, match="scaled its loss with a GradScaler"):
        scaled.optimizer.step(lambda: scaled.backward(x, y))
    assert torch.equal(flat(scaled.model), flat(_model()))


def test_accumulation_is_refused():
    """The first closures are never called, so nothing can be seen of it but what Accelerate says."""
    accelerator, model, optimizer = _prepared(gradient_accumulation_steps=2)
    (first, second), calls = _data()[:2], []

    def loss(batch):
        calls.append(batch)
        return cross_entropy(model(batch[0]), batch[1])

    with accelerator.accumulate(model):
        optimizer.step(lambda: loss(first))
    assert calls == []
    with (
        accelerator.accumulate(model),
        pytest.raises(InputError, match=r"gradient_accumulation_steps > 1.*step\(\[closure, \.\.\.\]\)"),
    ):
        optimizer.step(lambda: loss(second))
    assert torch.equal(flat(model), flat(_model()))


def test_accumulation_by_closures():
    accelerator, model, optimizer = _prepared()
    for x, y in _data():
        parts = zip(x.chunk(3), y.chunk(3), strict=True)
        optimizer.optimizer.step([lambda x=x, y=y: cross_entropy(model(x), y) for x, y in parts])
    assert_trained_alike(accelerator.unwrap_model(model), *_truths())


def test_eigen_sam():
    """As in a plain loop, whose wrapper has loaded the optimizer's state into itself before the first step."""
    _, model, optimizer = _prepared(EigenSAM)
    plain = _model()
    twin = EigenSAM(plain.parameters(), rho=0.2, lr=0.1, momentum=0.9)
    for x, y in _data():
        optimizer.step(lambda x=x, y=y: cross_entropy(model(x), y))
        twin.step(lambda x=x, y=y: cross_entropy(plain(x), y))
    assert torch.equal(flat(model), flat(plain))
    sam, _ = _truths()
    assert not torch.equal(flat(model), flat(sam))
