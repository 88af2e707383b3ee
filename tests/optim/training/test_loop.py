"""The loop against training scripts written down in plain torch, to the last bit; precision, clipping, early stop."""

import dataclasses
import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import Checkpoint, DataSet, Run, read_metrics
from eigensam.landscapes.runs.build import build_model
from eigensam.optim import SAMSettings, TrainSettings, train
from eigensam.optim.bases.sgd import SGDBase
from eigensam.optim.training.measurement import measure_sharpness
from eigensam.optim.training.training import Training

from .kept import files, kill_at

SETTINGS = TrainSettings("sgd", epochs=3, batch_size=50, lr=0.2, weight_decay=1e-3)


@pytest.fixture(scope="module")
def small(digits):
    return dataclasses.replace(digits, train_inputs=digits.train_inputs[:210], train_targets=digits.train_targets[:210])


def scripted(data, settings, step, take=lambda optimizer: optimizer.step()):
    """A training as a script has it: ``step(model, optimizer, x, y)`` makes the gradients and returns the loss."""
    torch.manual_seed(settings.seed)
    model = build_model(settings.model, data.shape, data.classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=settings.lr, momentum=0.9, weight_decay=settings.weight_decay)
    per_epoch = len(data.train_targets) // settings.batch_size
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: 0.5 * (1 + math.cos(math.pi * k / (per_epoch * settings.epochs)))
    )
    losses, norms = [], []
    for epoch in range(settings.epochs):
        model.train()
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        order = torch.randperm(len(data.train_targets))
        for k in range(per_epoch):
            rows = order[k * settings.batch_size : (k + 1) * settings.batch_size]
            optimizer.zero_grad()
            losses.append(step(model, optimizer, data.train_inputs[rows], data.train_targets[rows]))
            norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
            take(optimizer)
            schedule.step()
    return model, losses, norms


def plain(model, optimizer, x, y):
    loss = cross_entropy(model(x), y)
    loss.backward()
    return loss.item()


def sam(rho):
    def step(model, optimizer, x, y):
        loss = cross_entropy(model(x), y)
        loss.backward()
        g = [p.grad.clone() for p in model.parameters()]
        norm = torch.cat([each.flatten() for each in g]).norm()
        before = [p.detach().clone() for p in model.parameters()]
        with torch.no_grad():
            for p, each in zip(model.parameters(), g, strict=True):
                p.add_(rho * each / norm)
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for p, old in zip(model.parameters(), before, strict=True):
                p.copy_(old)
        return loss.item()

    return step


@pytest.mark.parametrize(
    ("optimizer", "step", "tolerance"), [("sgd", plain, 0.0), (SAMSettings(rho=0.2), sam(0.2), 1e-5)]
)
def test_equals_a_script(small, tmp_path, optimizer, step, tolerance):
    settings = dataclasses.replace(SETTINGS, optimizer=optimizer)
    model, losses, norms = scripted(small, settings, step)
    run = train(settings, small, tmp_path / "r")
    for ours, theirs in zip(run.network().parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    for k, row in enumerate(run.metrics):
        rows = slice(4 * k, 4 * k + 4)
        assert row["train_loss"] == pytest.approx(sum(losses[rows]) / 4, rel=1e-5)
        assert row["gradient_norm"] == pytest.approx(sum(norms[rows]) / 4, rel=1e-4)
        assert row["seconds"] > 0
    if tolerance:  # another radius is seen
        other, _, _ = scripted(small, settings, sam(0.18))
        with pytest.raises(AssertionError):
            torch.testing.assert_close(
                next(other.parameters()), next(run.network().parameters()), rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize("name", ["mlp", "cnn6", "resnet18", "vit-small"])
def test_every_kind_of_network_trains_as_a_script(name, tmp_path):
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(12, 3, 8, 8, generator=generator), torch.arange(12) % 3
    data = DataSet("cifar10", images, labels, images[:3], labels[:3], classes=3, augmentable=True)
    settings = dataclasses.replace(SETTINGS, data="cifar10", model=name, epochs=2, batch_size=4, lr=0.05)
    model, _, _ = scripted(data, settings, plain)
    run = train(settings, data, tmp_path / "r")
    for (key, ours), theirs in zip(run.network().state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), key  # running statistics, too


def test_clipped_gradients(small, tmp_path):
    def step(model, optimizer, x, y):
        loss = plain(model, optimizer, x, y)
        nn.utils.clip_grad_norm_(model.parameters(), 0.3)
        return loss

    settings = dataclasses.replace(SETTINGS, clip_norm=0.3)
    model, _, _ = scripted(small, settings, step)
    run = train(settings, small, tmp_path / "r")
    for ours, theirs in zip(run.network().parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert max(row["gradient_norm"] for row in run.metrics) > 0.3  # of the gradient before it was shortened
    unclipped = train(SETTINGS, small, tmp_path / "u")
    assert files(tmp_path / "r")["checkpoint.safetensors"] != files(unclipped.directory)["checkpoint.safetensors"]


@pytest.mark.parametrize("optimizer", ["sgd", "sam", "eigen-sam"])
def test_bfloat16_is_autocast_around_the_passes(small, optimizer):
    settings = dataclasses.replace(SETTINGS, optimizer=optimizer, precision="bfloat16")
    narrow = Training(settings, small, torch.device("cpu"))
    wide = Training(dataclasses.replace(settings, precision="float32"), small, torch.device("cpu"))
    seen = []
    narrow.model[1].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    for run in (narrow, wide):
        run.epoch(lambda step, loss: None)
    assert torch.bfloat16 in seen
    assert all(p.dtype == torch.float32 for p in narrow.model.parameters())
    pairs = list(zip(narrow.model.parameters(), wide.model.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in pairs)
    assert max(((a - b).norm() / b.norm()).item() for a, b in pairs if b.norm() > 0.1) < 0.1


def test_float16_is_a_script_with_a_scaler(small, tmp_path, monkeypatch):
    """The first scale, 2^20, overflows, so that the first steps are left out."""
    kind = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device: kind(device, init_scale=2.0**20))
    settings, scaler, scales = dataclasses.replace(SETTINGS, precision="float16"), torch.amp.GradScaler("cpu"), []

    def take(optimizer):
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())

    def step(model, optimizer, x, y):
        with torch.autocast("cpu", dtype=torch.float16):
            loss = cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        return loss.item()

    run = train(settings, small, tmp_path / "r")
    with warnings.catch_warnings():  # the schedule goes on where a step is left out
        warnings.simplefilter("ignore")
        model, losses, _ = scripted(small, settings, step, take)
    assert scales[-1] < 2.0**20
    for ours, theirs in zip(run.network().parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert run.metrics[-1]["train_loss"] == pytest.approx(sum(losses[-4:]) / 4, rel=1e-5)
    halved = sum(after < before for before, after in zip([2.0**20, *scales], scales, strict=False))
    assert sum(row["steps_left_out"] for row in run.metrics) == halved > 0


def test_float16_of_sam_leaves_steps_out_and_trains(small, monkeypatch):
    kind, runs = torch.amp.GradScaler, []
    for scale in (2.0**8, 2.0**24):
        monkeypatch.setattr(torch.amp, "GradScaler", lambda device, scale=scale: kind(device, init_scale=scale))
        settings = dataclasses.replace(SETTINGS, optimizer="sam", precision="float16")
        runs.append(Training(settings, small, torch.device("cpu")))
        _finish(runs[-1])
    few, many = runs
    wide = Training(dataclasses.replace(SETTINGS, optimizer="sam"), small, torch.device("cpu"))
    _finish(wide)
    assert few.optimizer.skipped == 0 < many.optimizer.skipped
    assert few.metrics[-1]["train_loss"] == pytest.approx(wide.metrics[-1]["train_loss"], rel=0.02)
    assert many.metrics[0]["train_loss"] is None  # no step was taken: 0 would look like a perfect fit
    assert many.metrics[-1]["train_loss"] < 2.5


def _finish(run):
    while not run.done:
        run.epoch(lambda step, loss: None)


def test_float16_that_never_is_finite_ends(small):
    settings = dataclasses.replace(SETTINGS, precision="float16", lr=1e6, epochs=50)
    run = Training(settings, small, torch.device("cpu"))
    with pytest.raises(InputError, match=r"no scale of the loss keeps its gradients finite; lower --lr"):
        _finish(run)


def test_early_stop_keeps_the_weights_of_the_minimum(small, tmp_path):
    """With labels that are noise the validation loss rises soon."""
    settings = TrainSettings(
        "sgd", epochs=40, batch_size=20, lr=0.2, patience=3, validation_fraction=0.25, label_noise=0.6, seed=1
    )
    run = train(settings, small, tmp_path / "r")
    losses = [row["validation_loss"] for row in run.metrics]
    best = losses.index(min(losses)) + 1
    assert len(losses) == best + 3 < 40
    found = Checkpoint.read(tmp_path / "r")
    assert (found.epochs, found.kept_epoch) == (best + 3, best)
    inputs, targets = run.examples.validation_part(small)
    with torch.no_grad():
        assert float(cross_entropy(run.network()(inputs), targets)) == pytest.approx(min(losses), rel=1e-5)
    with pytest.raises(KeyboardInterrupt):  # killed after the minimum, before the stop
        train(settings, small, tmp_path / "k", progress=kill_at((best + 1) * 7 + 3))
    train(settings, small, tmp_path / "k", resume=True)
    assert files(tmp_path / "k") == files(tmp_path / "r")


def test_the_eigenvalue_after_an_early_stop_is_that_of_the_weights_that_are_kept(small, tmp_path):
    settings = TrainSettings("sgd", epochs=40, batch_size=20, lr=0.2, patience=3, validation_fraction=0.25, seed=1)
    settings = dataclasses.replace(settings, label_noise=0.6, spectrum_every=100)
    run = train(settings, small, tmp_path / "r")
    kept = run.checkpoint.kept_epoch
    assert kept < len(run.metrics) < 40
    assert [row["epoch"] for row in run.metrics if "lambda_1" in row] == [kept]
    assert "alignment" not in run.kept
    training = Training(settings, run.training_part(small), torch.device("cpu"))
    found = {}
    for name, weights in (("kept", run.network().state_dict()), ("initial", training.initial)):
        training.model.load_state_dict(weights)
        found[name] = measure_sharpness(training.model, training.optimizer, training.data, 20)["lambda_1"]
    assert run.kept["lambda_1"] == pytest.approx(found["kept"], rel=1e-2)
    assert abs(found["initial"] / found["kept"] - 1) > 0.1  # other weights have another one


def test_patience_needs_validation():
    with pytest.raises(InputError, match="nothing is kept for validation; give validation_fraction"):
        TrainSettings("sgd", patience=2)


def test_saves_within_an_epoch_change_nothing(small, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, small, tmp_path / "r", save_minutes=0, progress=kill_at(6))
    state = Training(SETTINGS, small, torch.device("cpu"))
    state.restore(tmp_path / "r.partial" / "state.safetensors")
    assert (len(state.metrics), state.step) == (1, 2)
    train(SETTINGS, small, tmp_path / "r", resume=True)
    train(SETTINGS, small, tmp_path / "whole")
    assert files(tmp_path / "r") == files(tmp_path / "whole")


class _Network(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, classes)

    def forward(self, x):
        return self.second(nn.functional.dropout(torch.tanh(self.first(x)), 0.2, self.training))


@pytest.fixture
def mine():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 5, generator=generator)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    return DataSet("mine", x[:60], y[:60], x[60:], y[60:], classes=3, augmentable=False)


OWN = TrainSettings("sam", data="own", model="own", epochs=6, batch_size=15, lr=0.3)


def network(seed=0):
    torch.manual_seed(seed)
    return _Network()


def test_ones_own_network_and_data(mine, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(OWN, mine, tmp_path / "a", model=network(), save_minutes=0, progress=kill_at(7))
    run = train(OWN, mine, tmp_path / "a", model=network(), resume=True)
    trained = network()
    train(OWN, mine, tmp_path / "b", model=trained)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert read_metrics(tmp_path / "a")[-1]["train_loss"] < 0.8 * read_metrics(tmp_path / "a")[0]["train_loss"]
    opened = Run(tmp_path / "b", _Network())
    for ours, theirs in zip(opened.network().parameters(), trained.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(opened.network(initial=True).parameters(), network().parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert run.landscape(mine, batch_size=20).size == 3


def test_ones_own_network_comes_back_in_its_modes(mine, tmp_path):
    given = network().eval()
    given.first.train()
    train(dataclasses.replace(OWN, epochs=1), mine, tmp_path / "a", model=given)
    assert [module.training for module in given.modules()] == [False, True, False]
    train(dataclasses.replace(OWN, epochs=1), mine, tmp_path / "b", model=network().train())
    assert files(tmp_path / "a") == files(tmp_path / "b")  # it is trained in train mode, whatever it came in


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": None}, "the settings say model = 'own', and none was given"),
        ({"settings": dataclasses.replace(OWN, model="mlp")}, "the settings say model = 'mlp', and one was given"),
        ({"model": _Network(classes=4)}, r"is of shape \(1, 4\); expected scores of shape \(1, 3\)"),
        ({"model": nn.LSTM(5, 3)}, "is of type tuple; expected scores"),
        ({"settings": TrainSettings("sam", data="digits", model="own", batch_size=15)}, "'mine' was given"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(mine, tmp_path, change, message):
    given = {"settings": OWN, "model": network(), **change}
    with pytest.raises(InputError, match=message):
        train(given["settings"], mine, tmp_path / "r", model=given["model"])
    assert list(tmp_path.iterdir()) == []


def test_another_network_is_not_gone_on_with(mine, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(OWN, mine, tmp_path / "a", model=network(), save_minutes=0, progress=kill_at(2))
    with pytest.raises(InputError, match="the unfinished run differs in network"):
        train(OWN, mine, tmp_path / "a", model=network(seed=1), resume=True)
    train(OWN, mine, tmp_path / "a", model=network(), resume=True)
    for call, message in (
        (lambda run: run.network(), r"give it from Python: Run\(directory, model=...\)"),
        (lambda run: run.data(), "trained on data of your own"),
        (lambda run: Run(run, _Network(classes=4)).network(), "belongs to another model"),
    ):
        with pytest.raises(InputError, match=message):
            call(Run(tmp_path / "a"))


def test_a_named_run_is_not_opened_with_a_network_of_ones_own(small, tmp_path):
    train(dataclasses.replace(SETTINGS, base=SGDBase(), epochs=1), small, tmp_path / "r")
    with pytest.raises(InputError, match="open it without one of your own"):
        Run(tmp_path / "r", _Network()).network()
