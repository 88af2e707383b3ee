"""What cannot be trained, and trainings that fail: said clearly, and nothing is lost."""

import dataclasses
import json

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import DataSet, Run, read_metrics
from eigensam.optim import TrainSettings, train

from .kept import files, kill_at

OWN = TrainSettings("sgd", data="own", model="own", epochs=2, batch_size=16)


@pytest.fixture(scope="module")
def small(digits):
    return dataclasses.replace(digits, train_inputs=digits.train_inputs[:300], train_targets=digits.train_targets[:300])


@pytest.fixture
def mine():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, 3, generator=generator), torch.arange(64) % 2
    return DataSet("mine", x, y, x[:8], y[:8], classes=2, augmentable=False)


def _results(directory):
    """The state that a run of an extendable schedule keeps knows how long epochs took."""
    return {name: content for name, content in files(directory).items() if name != "state.safetensors"}


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.c(torch.tanh(self.b(torch.tanh(self.a(x)))))


def test_tied_weights_are_kept_and_stay_tied(mine, tmp_path):
    model = Tied()
    with pytest.raises(KeyboardInterrupt):
        train(OWN, mine, tmp_path / "a", model=model, save_minutes=0, progress=kill_at(3))
    model = Tied()
    model.load_state_dict(Run(train(OWN, mine, tmp_path / "b", model=Tied()).directory, Tied()).network().state_dict())
    run = train(OWN, mine, tmp_path / "c", model=model)
    found = Run(run.directory, Tied()).network()
    assert found.a.weight is found.b.weight
    assert torch.equal(found.a.weight, model.a.weight)
    assert run.landscape(mine, batch_size=16).dim == 9 + 3 + 3 + 8


@pytest.mark.parametrize("more", [{}, {"patience": 1, "validation_fraction": 0.2}])
def test_weights_that_the_last_step_has_ruined_are_no_run(small, tmp_path, more):
    settings = TrainSettings("sgd", lr=1e29, epochs=1, batch_size=200, **more)
    with pytest.raises(InputError, match=r"(the weights are not finite|loss is (nan|inf)) after epoch 1; lower --lr"):
        train(settings, small, tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_ruined_weights_do_not_replace_the_last_good_ones(small, tmp_path, monkeypatch):
    """They are seen before the epoch is saved, and before a save within it."""
    from eigensam.optim.training import training

    rate = training.learning_rate
    monkeypatch.setattr(training, "learning_rate", lambda s, step, n: 1e30 if step == 5 else rate(s, step, n))
    settings = TrainSettings("sgd", epochs=4, batch_size=100)  # three steps an epoch
    with pytest.raises(InputError, match=r"after epoch 2; lower --lr .*the 1 finished epochs are kept"):
        train(settings, small, tmp_path / "r", save_minutes=0)
    monkeypatch.undo()
    assert len(read_metrics(tmp_path / "r.partial")) == 1
    train(settings, small, tmp_path / "r", resume=True)
    train(settings, small, tmp_path / "whole")
    assert files(tmp_path / "r") == files(tmp_path / "whole")


def test_a_run_that_has_stopped_early_survives_more_epochs(small, tmp_path):
    settings = TrainSettings(
        "sgd",
        schedule="constant",
        lr=1.0,
        epochs=10,
        batch_size=30,
        patience=1,
        validation_fraction=0.2,
        label_noise=0.6,
    )
    before = train(settings, small, tmp_path / "r")
    rows = before.metrics
    assert len(rows) < 10
    more = dataclasses.replace(settings, epochs=20)
    after = train(more, small, tmp_path / "r", resume=True)
    assert [row["train_loss"] for row in after.metrics] == [row["train_loss"] for row in rows]
    train(more, small, tmp_path / "whole")
    assert _results(tmp_path / "r") == _results(tmp_path / "whole")


def test_after_an_early_stop_the_kept_weights_stay_measured(small, tmp_path):
    settings = TrainSettings(
        "sgd",
        schedule="constant",
        lr=1.0,
        epochs=10,
        batch_size=30,
        model="mlp32",
        patience=1,
        validation_fraction=0.2,
        label_noise=0.6,
        spectrum_every=100,
    )
    before = train(settings, small, tmp_path / "r")
    after = train(dataclasses.replace(settings, epochs=20), small, tmp_path / "r", resume=True)
    assert len(after.metrics) < 10
    assert after.kept == before.kept
    assert after.kept["lambda_1"] > 0


def test_what_was_measured_at_the_end_is_no_end_any_more(small, tmp_path):
    settings = TrainSettings("sgd", schedule="constant", epochs=3, batch_size=100, spectrum_every=2, model="mlp32")
    train(settings, small, tmp_path / "r")
    more = dataclasses.replace(settings, epochs=5)
    train(more, small, tmp_path / "r", resume=True)
    train(more, small, tmp_path / "whole")
    assert _results(tmp_path / "r") == _results(tmp_path / "whole")
    assert ["lambda_1" in row for row in read_metrics(tmp_path / "r")] == [False, True, False, True, True]


def test_every_line_of_metrics_is_json(small, tmp_path):
    train(TrainSettings("sgd", epochs=1, batch_size=100), small, tmp_path / "r")
    for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(name))


def _frozen():
    return nn.Linear(3, 2).requires_grad_(False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": _frozen()}, "Linear has no parameter that requires a gradient"),
        ({"model": nn.Identity()}, "expected scores of shape"),
        ({"model": nn.Linear(4, 2)}, r"fails on one example .*inputs have shape \(3,\) and type torch.float32"),
        ({"model": nn.Linear(3, 2).double()}, "its parameters are of type torch.float64"),
        ({"model": lambda x: x}, "model is of type function; give a torch.nn.Module"),
        ({"data": "digits"}, "data is of type str; give a DataSet"),
        ({"train_targets": (torch.arange(64) % 2).int()}, "training labels are of type torch.int32, not torch.int64"),
        ({"train_inputs": torch.full((64, 3), torch.nan)}, "the training inputs are not finite"),
        ({"train_inputs": torch.ones(64, 3, requires_grad=True)}, "the training inputs require gradients"),
        ({"train_inputs": torch.ones(64, 3).double()}, "training inputs are of type torch.float64, test inputs"),
    ],
)
def test_what_cannot_be_trained_is_refused(mine, tmp_path, change, message):
    model, data = change.pop("model", nn.Linear(3, 2)), change.pop("data", None)
    data = data or dataclasses.replace(mine, **change)
    with pytest.raises(InputError, match=message):
        train(OWN, data, tmp_path / "r", model=model)
    assert list(tmp_path.iterdir()) == []


def test_batch_norm_of_one_example(mine, tmp_path):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(InputError, match=r"batch normalisation needs more than one value .* raise batch_size"):
        train(dataclasses.replace(OWN, batch_size=1), mine, tmp_path / "r", model=model)
    assert list(tmp_path.iterdir()) == []


def test_whatever_fails_leaves_nothing_that_is_in_the_way(mine, tmp_path):
    class Fails(nn.Linear):
        def forward(self, x):
            if self.training:
                raise RuntimeError("of the network's own")
            return super().forward(x)

    with pytest.raises(RuntimeError, match="of the network's own"):
        train(OWN, mine, tmp_path / "r", model=Fails(3, 2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["inside", "beside"])
def test_a_run_that_goes_on_removes_nothing_else(small, tmp_path, where):
    settings = TrainSettings("sgd", schedule="constant", epochs=1, batch_size=100)
    train(settings, small, tmp_path / "r")
    folder = tmp_path / ("r" if where == "inside" else ".r.before")
    folder.mkdir(exist_ok=True)
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="also holds thesis.txt" if where == "inside" else "is in the way"):
        train(dataclasses.replace(settings, epochs=2), small, tmp_path / "r", resume=True)
    assert (folder / "thesis.txt").read_text() == "mine"
    assert len(read_metrics(tmp_path / "r")) == 1


def test_a_finished_run_gives_its_weights_to_ones_own_network_again(mine, tmp_path):
    torch.manual_seed(1)
    first, again, other, wider = nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2, bias=False)
    again.load_state_dict(first.state_dict())
    train(OWN, mine, tmp_path / "r", model=first)
    train(OWN, mine, tmp_path / "r", model=again, resume=True)
    assert torch.equal(first.weight, again.weight)
    for another in (other, wider, nn.Sequential(nn.Linear(3, 2))):
        with pytest.raises(InputError, match="another structure or other first parameters"):
            train(OWN, mine, tmp_path / "r", model=another, resume=True)


def test_gradients_that_somebody_has_left_do_not_count(mine, tmp_path):
    """Of frozen parameters, too, in the norm that is written and that gradients are clipped to."""
    settings = dataclasses.replace(OWN, clip_norm=0.1)
    found = []
    for left in (False, True):
        torch.manual_seed(2)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        if left:
            (1e4 * model(mine.train_inputs).sum()).backward()
        model[0].requires_grad_(False)
        run = train(settings, mine, tmp_path / f"{left}", model=model)
        found.append((run.metrics[-1]["gradient_norm"], model[2].weight.detach().clone()))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    "given", [{"save_minutes": -1}, {"save_minutes": float("nan")}, {"save_minutes": "1"}, {"device": "gpu"}]
)
def test_places_and_times_that_are_none(mine, tmp_path, given):
    with pytest.raises(InputError, match=r"save_minutes|no usable device"):
        train(OWN, mine, tmp_path / "r", model=nn.Linear(3, 2), **given)
    assert list(tmp_path.iterdir()) == []


def test_what_is_printed_is_of_the_weights_that_are_kept(cli, tmp_path):
    outcome = cli(
        "train", "--optimizer", "sgd", "--lr", 0.8, "--label-noise", 0.5, "--validation-fraction", 0.1, "--patience", 2,
        "--subset", 400, "--epochs", 12, "--out", tmp_path / "r", "--json", tmp_path / "r.json",
    )  # fmt: skip
    run = Run(tmp_path / "r")
    kept = run.checkpoint.kept_epoch
    assert kept < len(run.metrics)
    assert f"the weights are those of epoch {kept}" in " ".join(outcome.out.split())
    assert f"test accuracy {run.metrics[kept - 1]['test_accuracy']:.2%}" in " ".join(outcome.out.split())
    assert json.loads((tmp_path / "r.json").read_text())["kept_epoch"] == kept
    data = run.data()
    accuracy = (run.network()(data.test_inputs).argmax(1) == data.test_targets).float().mean().item()
    assert run.kept["test_accuracy"] == pytest.approx(accuracy)


class _Counting(nn.Linear):
    """Its loss depends on how many passes there were, which its own state does not say."""

    def __init__(self):
        super().__init__(3, 2)
        self.register_buffer("passes", torch.zeros(()), persistent=False)

    def forward(self, x):
        if self.training:
            self.passes += 1
        return super().forward(x) * (1 + 0.01 * self.passes)


def test_buffers_that_are_not_in_the_modules_state_go_on(mine, tmp_path):
    def network():
        torch.manual_seed(3)
        return _Counting()

    with pytest.raises(KeyboardInterrupt):
        train(OWN, mine, tmp_path / "a", model=network(), save_minutes=0, progress=kill_at(6))
    train(OWN, mine, tmp_path / "a", model=network(), resume=True)
    train(OWN, mine, tmp_path / "b", model=network())
    assert files(tmp_path / "a") == files(tmp_path / "b")
