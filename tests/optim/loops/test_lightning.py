"""Lightning's loops: what the scripts of docs/training-loops.md train is what SAM written down by hand does."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from eigensam.ground import InputError
from eigensam.optim import SAM, EigenSAM

from .by_hand import assert_trained_alike, flat, sam_by_hand
from .page import quiet, run

with quiet():
    lightning = pytest.importorskip("lightning", reason="lightning is not installed, whose loops these are")


QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def _batches(names):
    return [batch for _ in range(2) for batch in names["loader"]]


def _by_hand(title, *, rho=0.1, **options):
    start = run(title, before="trainer = ")
    model = start["module"].model
    losses = [lambda x=x, y=y: cross_entropy(model(x), y) for x, y in _batches(start)]
    sam_by_hand(model, losses, rho=rho, lr=0.1, **options)
    return model


@pytest.mark.parametrize(
    ("title", "options"),
    [("Lightning, automatic optimization", {"clip": 0.5}), ("Lightning, manual optimization", {})],
)
def test_script_trains_as_by_hand(title, options):
    found = run(title)["module"].model
    assert_trained_alike(found, _by_hand(title, **options), _by_hand(title, rho=0.0, **options))


def test_eigen_sam_script_trains_as_in_a_plain_loop():
    """The closure that it is given for its Hessian is that of the step's minibatch."""
    title = "Lightning, automatic optimization (2)"
    found = run(title)["module"]
    trained = []
    for alpha in (0.2, 0.0):
        start = run(title, before="trainer = ")
        model = start["module"].model
        optimizer = EigenSAM(model.parameters(), rho=0.1, alpha=alpha, refresh_every=4, lr=0.1)
        for x, y in _batches(start):
            optimizer.step(lambda x=x, y=y, model=model: cross_entropy(model(x), y))
        trained.append(model)
    assert_trained_alike(found.model, *trained)


# -- a module whose loop is configured in other ways


class _Module(lightning.LightningModule):
    """Narrow enough for a dense Hessian; what it is to do in a step is given."""

    def __init__(self, make, step=None, *layers):
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), *layers, nn.Linear(4, 3))
        self.make, self.own_step, self.automatic_optimization = make, step, step is None
        self.batch = None

    def on_train_batch_start(self, batch, index):
        self.batch = batch

    def loss(self, batch=None):
        x, y = batch or self.batch
        return cross_entropy(self.model(x), y)

    def training_step(self, batch, index):
        return self.loss(batch) if self.own_step is None else self.own_step(self, batch)

    def configure_optimizers(self):
        return self.make(self)


def _data(dtype=torch.float32):
    made = torch.Generator().manual_seed(7)
    return [(torch.randn(12, 4, generator=made).to(dtype), torch.arange(12) % 3) for _ in range(6)]


def _loader(data=None):
    return DataLoader(data or _data(), batch_size=None)


def _sam(module):
    return SAM(module.parameters(), rho=0.2, lr=0.1, momentum=0.9)


def _fit(module, data=None, **options):
    with quiet():
        trainer = lightning.Trainer(**{**QUIET, "max_epochs": 1, **options})
        trainer.fit(module, _loader(data))
    return trainer


def _truths(dtype=None, **options):
    """By hand: SAM and SGD."""
    trained = []
    for rho in (0.2, 0.0):
        model = _Module(_sam).model

        def loss(x, y, model=model):
            with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
                return cross_entropy(model(x), y)

        losses = [lambda x=x, y=y, loss=loss: loss(x, y) for x, y in _data()]
        sam_by_hand(model, losses, rho=rho, lr=0.1, **options)
        trained.append(model)
    return trained


@pytest.mark.parametrize("clip", [None, 0.3])
def test_bf16(clip):
    """Lightning clips, too, where it could take the optimizer for one that unscales gradients in its step."""
    module = _Module(_sam)
    _fit(module, precision="bf16-mixed", gradient_clip_val=clip)
    assert_trained_alike(module.model, *_truths(dtype=torch.bfloat16, clip=clip), narrow=True)


def test_eigen_sam_of_a_dense_hessian():
    """Eq. 8 with the eigenvector of the dense Hessian, in float64."""
    data = _data(torch.float64)

    def make(module):
        options = {"rho": 0.3, "alpha": 0.7, "refresh_every": 1, "iterations": 35, "curvature": module.loss}
        return EigenSAM(module.parameters(), **options, lr=0.1, momentum=0.9)

    module = _Module(make).double()
    _fit(module, data)
    trained = []
    for alpha in (0.7, 0.0):
        model = _Module(make).double().model
        names = {name: p.shape for name, p in model.named_parameters()}
        step = iter(data)

        def direction(g, model=model, names=names, step=step, alpha=alpha):
            x, y = next(step)

            def loss(point):
                parts = point.split([shape.numel() for shape in names.values()])
                state = {name: part.view(names[name]) for name, part in zip(names, parts, strict=True)}
                return cross_entropy(torch.func.functional_call(model, state, (x,)), y)

            v = torch.linalg.eigh(torch.autograd.functional.hessian(loss, flat(model)))[1][:, -1]
            unit = g / g.norm()
            return unit + alpha * torch.sign(g @ v) * (v - (v @ unit) * unit)

        losses = [lambda x=x, y=y, model=model: cross_entropy(model(x), y) for x, y in data]
        sam_by_hand(model, losses, rho=0.3, lr=0.1, direction=direction)
        trained.append(model)
    torch.testing.assert_close(flat(module.model), flat(trained[0]), rtol=1e-8, atol=1e-8)
    assert (flat(trained[1]) - flat(trained[0])).abs().max() > 1e-4


def test_eigen_sam_without_a_closure_of_its_own_is_refused():
    with pytest.raises(InputError, match=r"must not call backward, .* curvature=closure"):
        _fit(_Module(lambda module: EigenSAM(module.parameters(), lr=0.1)))


@pytest.mark.parametrize("layers", [(), (nn.Dropout(0.5),)], ids=["", "dropout"])
def test_accumulation_is_refused(layers):
    """With dropout two gradients of one minibatch differ as those of two minibatches do; it is refused all the same."""
    with pytest.raises(InputError, match=r"accumulate_grad_batches > 1.*step\(\[closure, \.\.\.\]\)"):
        _fit(_Module(_sam, None, *layers), accumulate_grad_batches=2)


def _fp16():
    from lightning.pytorch.plugins import MixedPrecision

    # Lightning itself allows float16 on accelerators only.
    return MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10))


def test_fp16_is_refused():
    with pytest.raises(InputError, match="needs the gradient at two points"):
        _fit(_Module(_sam), plugins=[_fp16()])


def _halves(module, batch):
    optimizer = module.optimizers()
    optimizer.zero_grad()
    module.manual_backward(module.loss(batch))
    optimizer.optimizer.first_step(scaler=getattr(module.trainer.precision_plugin, "scaler", None))
    module.manual_backward(module.loss(batch))
    optimizer.step()


def test_fp16_by_hand():
    module, scale = _Module(_sam, _halves), 2.0**10
    trainer = _fit(module, plugins=[_fp16()])
    assert trainer.global_step == 6
    trained = []
    for rho in (0.2, 0.0):
        model = _Module(_sam).model

        def loss(x, y, model=model):
            with torch.autocast("cpu", dtype=torch.float16):
                return scale * cross_entropy(model(x), y)

        losses = [lambda x=x, y=y, loss=loss: loss(x, y) for x, y in _data()]
        sam_by_hand(model, losses, rho=rho, lr=0.1 / scale)
        trained.append(model)
    assert_trained_alike(module.model, *trained, narrow=True)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_manual(precision):
    """Closures and halves come to the same, and Lightning counts the steps of both."""

    def closure(module, batch):
        module.optimizers().step(lambda: module.loss(batch))

    dtype = torch.bfloat16 if precision == "bf16-mixed" else None
    for step in (closure, _halves):
        module = _Module(_sam, step)
        assert _fit(module, precision=precision).global_step == 6
        assert_trained_alike(module.model, *_truths(dtype=dtype), narrow=dtype is not None)


def test_hooks_see_parameters_that_are_back():
    module, seen = _Module(_sam, _halves), []
    module.on_before_optimizer_step = lambda optimizer: seen.append(flat(module.model))
    before = [flat(module.model)]
    module.on_train_batch_end = lambda *_: before.append(flat(module.model))
    _fit(module)
    assert len(seen) == 6
    assert all(torch.equal(a, b) for a, b in zip(seen, before[:-1], strict=True))


def test_calls_on_the_wrapper_are_refused():
    """What they leave would stay in the wrapper, where the step does not look for it."""
    for call in (lambda w, _: w.first_step(), lambda w, _: w.restore(), lambda w, loss: w.refresh(loss)):

        def step(module, batch, call=call):
            module.manual_backward(module.loss(batch))
            call(module.optimizers(), module.loss)

        module = _Module(lambda m: EigenSAM(m.parameters(), lr=0.1), step)
        with pytest.raises(InputError, match="LightningEigenSAM is a training loop's wrapper"):
            _fit(module)


def test_a_closure_of_nothing_is_refused_where_no_half_has_been():
    def step(module, batch):
        module.manual_backward(module.loss(batch))
        module.optimizers().step()

    with pytest.raises(InputError, match="the closure must return the minibatch loss"):
        _fit(_Module(_sam, step))


@pytest.mark.parametrize("kind", [SAM, EigenSAM])
def test_checkpoints(tmp_path, kind):
    """Two epochs are one, a file, and another one: bit for bit."""

    def make(module):
        own = {"curvature": module.loss, "refresh_every": 4} if kind is EigenSAM else {}
        return kind(module.parameters(), torch.optim.AdamW, rho=0.2, lr=0.01, **own)

    whole, first, second = (_Module(make) for _ in range(3))
    _fit(whole, max_epochs=2)
    _fit(first).save_checkpoint(tmp_path / "kept.ckpt")
    with quiet():
        trainer = lightning.Trainer(**QUIET, max_epochs=2)
        trainer.fit(second, _loader(), ckpt_path=tmp_path / "kept.ckpt")
    assert torch.equal(flat(second.model), flat(whole.model))
    assert not torch.equal(flat(first.model), flat(whole.model))


def test_metrics_are_the_mean_of_both_passes():
    """As the page says."""
    module, passes = _Module(_sam), []

    def training_step(batch, batch_idx):
        value = module.loss(batch)
        passes.append(value.item())
        module.log("loss", value, on_epoch=True, on_step=False)
        return value

    module.training_step = training_step
    ends = []
    module.on_train_batch_end = lambda outputs, *_: ends.append(outputs["loss"].item())
    found = _fit(module).callback_metrics["loss"].item()
    assert len(passes) == 12
    assert found == pytest.approx(sum(passes) / 12, rel=1e-5)
    assert ends == pytest.approx(passes[1::2])


def test_nothing_of_lightning_is_loaded_by_the_optimizers():
    assert "lightning" in sys.modules  # here
    code = "import eigensam.optim, sys; eigensam.optim.SAM; assert not {'lightning', 'accelerate'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
