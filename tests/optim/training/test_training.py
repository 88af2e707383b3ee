"""Training: deterministic, resumable bit for bit, and nothing half-written after bad input."""

import dataclasses
import math
import sys
from pathlib import Path

import pytest
import torch

from eigensam.ground import InputError, identities
from eigensam.landscapes import Checkpoint, DataSet, data_digest, load_tensors, read_metrics
from eigensam.optim import OPTIMIZERS, EigenSAMSettings, TrainSettings, train
from eigensam.optim.training.minibatches import Minibatches
from eigensam.optim.training.run_directory import check_run
from eigensam.optim.training.state import load_state, save_state

from .kept import files, kill_at

SETTINGS = TrainSettings(EigenSAMSettings(refresh_every=7), epochs=3, spectrum_every=2, batch_size=128)


@pytest.fixture(scope="module")
def small(digits):
    """The first 300 examples: three epochs take half a second."""
    return dataclasses.replace(digits, train_inputs=digits.train_inputs[:300], train_targets=digits.train_targets[:300])


def _fitting(optimizer: str) -> str:
    """A network that the method takes."""
    return "mlp32-bn" if optimizer == "sam-on" else "mlp"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_learns_and_says_what_it_is(digits, tmp_path, optimizer):
    settings = TrainSettings(optimizer=optimizer, model=_fitting(optimizer), epochs=4)
    train(settings, digits, tmp_path / "run")
    rows = read_metrics(tmp_path / "run")
    steps = 4 * (1437 // 64)  # cosine from lr to (almost) zero over all steps
    last = [0.1 * 0.5 * (1 + math.cos(math.pi * (steps * e // 4 - 1) / steps)) for e in (1, 2, 3, 4)]
    assert [row["lr"] for row in rows] == pytest.approx(last)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["test_accuracy"] > 0.9 > 0.2 > rows[0]["train_loss"] / 10
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] / 3
    checkpoint = Checkpoint.read(tmp_path / "run")
    assert checkpoint.settings == settings.to_dict()
    # the saved network is the one that was measured
    network = checkpoint.network(tmp_path / "run")
    accuracy = (network(digits.test_inputs).argmax(1) == digits.test_targets).float().mean().item()
    assert accuracy == pytest.approx(rows[-1]["test_accuracy"])
    initial = load_tensors(tmp_path / "run" / "initial.safetensors")
    assert not torch.equal(initial["1.weight"], network.state_dict()["1.weight"])


def test_every_epoch_has_its_own_order(small):
    batches = Minibatches(small, 128, seed=0)
    orders = [torch.cat([y for _, y in batches.epoch(epoch)]) for epoch in (0, 1, 0)]
    assert torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0], orders[1])


def test_same_settings_same_bits_and_the_callers_random_state_is_left_alone(small, tmp_path):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    for name in ("a", "b"):
        train(SETTINGS, small, tmp_path / name)
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(5)
        torch.manual_seed(123)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    train(dataclasses.replace(SETTINGS, seed=1), small, tmp_path / "c")
    assert files(tmp_path / "a")["checkpoint.safetensors"] != files(tmp_path / "c")["checkpoint.safetensors"]


@pytest.mark.parametrize(
    ("optimizer", "killed_at"), [("eigen-sam", 1), ("eigen-sam", 6), *((name, 3) for name in OPTIMIZERS)]
)
def test_a_killed_run_resumes_bit_for_bit(small, tmp_path, optimizer, killed_at):
    """Two steps an epoch: killed in the first, the second, the last epoch."""
    settings = dataclasses.replace(SETTINGS, optimizer=optimizer, model=_fitting(optimizer))

    with pytest.raises(KeyboardInterrupt):
        train(settings, small, tmp_path / "killed", progress=kill_at(killed_at))
    assert not (tmp_path / "killed").exists()
    torch.rand(17)  # a new process would not share the random state either
    train(settings, small, tmp_path / "killed", resume=True)
    train(settings, small, tmp_path / "whole")
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"killed", "whole"}


def test_an_unfinished_run_is_not_overwritten_and_needs_the_same_settings(small, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, small, tmp_path / "r", progress=kill_at(3))
    with pytest.raises(InputError, match=r"an unfinished run is in .*r.partial; add --resume"):
        train(SETTINGS, small, tmp_path / "r")
    with pytest.raises(InputError, match=r"has lr = 0.1, this command 0.2; repeat"):
        train(dataclasses.replace(SETTINGS, lr=0.2), small, tmp_path / "r", resume=True)
    (tmp_path / "r.partial" / "state.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="not a usable training state"):
        train(SETTINGS, small, tmp_path / "r", resume=True)


def test_nan_in_the_first_epoch_leaves_nothing(small, tmp_path):
    with pytest.raises(InputError, match=r"the loss became (nan|inf) at step \d of epoch 1; lower --lr \(now 1e\+12\)"):
        train(dataclasses.replace(SETTINGS, optimizer="sgd", lr=1e12, batch_size=30), small, tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_nan_later_keeps_the_finished_epochs(small, tmp_path):
    data = dataclasses.replace(small, train_inputs=small.train_inputs.clone())

    def poison(step, steps, latest):
        if step == 2:
            data.train_inputs.fill_(float("nan"))

    with pytest.raises(
        InputError, match=r"became nan at step 1 of epoch 2; .*the 1 finished epochs are kept in .*r.partial"
    ):
        train(dataclasses.replace(SETTINGS, optimizer="sam", spectrum_every=0), data, tmp_path / "r", progress=poison)
    assert len(read_metrics(tmp_path / "r.partial")) == 1


def test_augmentation_changes_training_and_needs_natural_images(small, tmp_path, digits):
    with pytest.raises(InputError, match="crops and flips change the class of digits"):
        train(dataclasses.replace(SETTINGS, augment=True), small, tmp_path / "r")
    natural = DataSet(
        "cifar10", torch.randn(20, 3, 8, 8), torch.arange(20) % 10, torch.randn(4, 3, 8, 8), torch.arange(4), 10, True
    )
    settings = TrainSettings(data="cifar10", model="cnn6", epochs=1, batch_size=10, lr=0.01)
    for name, augment in (("a", True), ("b", True), ("c", False)):
        train(dataclasses.replace(settings, augment=augment), natural, tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a")["checkpoint.safetensors"] != files(tmp_path / "c")["checkpoint.safetensors"]


def test_a_network_with_batch_norm(tmp_path):
    data = DataSet(
        "svhn", torch.randn(16, 3, 8, 8), torch.arange(16) % 4, torch.randn(4, 3, 8, 8), torch.arange(4), 4, False
    )
    method = EigenSAMSettings(refresh_every=1, iterations=1)
    settings = TrainSettings(method, data="svhn", model="resnet18", epochs=1, batch_size=8, lr=0.01)
    train(settings, data, tmp_path / "r")
    state = load_tensors(tmp_path / "r" / "checkpoint.safetensors")
    assert state["bn1.num_batches_tracked"] == 2  # once a step, whatever SAM and its refreshes did


@pytest.mark.parametrize("kind", ["file", "run"])
def test_an_existing_out_is_kept(small, tmp_path, kind):
    out = tmp_path / "r"
    if kind == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already; choose another --out"):
        train(SETTINGS, small, out)


def test_an_empty_out_is_used(small, tmp_path):
    train(dataclasses.replace(SETTINGS, epochs=1), small, tmp_path)
    assert (tmp_path / "checkpoint.json").is_file()


def test_two_trainings_never_write_one_run(small, tmp_path):
    def intrude(step, steps, latest):
        with pytest.raises(InputError, match=r"another process is writing .*r.partial"):
            train(SETTINGS, small, tmp_path / "r", resume=True)

    train(dataclasses.replace(SETTINGS, epochs=1), small, tmp_path / "r", progress=intrude)
    assert {p.name for p in tmp_path.iterdir()} == {"r"}


def test_a_run_killed_just_before_its_end_is_finished_by_resume(small, tmp_path, monkeypatch):
    settings = dataclasses.replace(SETTINGS, epochs=1)
    monkeypatch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train(settings, small, tmp_path / "r")
    monkeypatch.undo()
    (tmp_path / "r.partial").mkdir(exist_ok=True)
    train(settings, small, tmp_path / "r", resume=True)
    assert {p.name for p in (tmp_path / "r").iterdir()} == {
        "checkpoint.json", "checkpoint.safetensors", "initial.safetensors", "metrics.jsonl", "settings.json",
    }  # fmt: skip


def test_out_may_be_a_link(small, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    train(dataclasses.replace(SETTINGS, epochs=1), small, tmp_path / "link")
    assert (tmp_path / "real" / "checkpoint.json").is_file()


def test_states_that_do_not_fit_are_refused(small, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, small, tmp_path / "r", progress=kill_at(3))
    path = tmp_path / "r.partial" / "state.safetensors"
    good = load_state(path)
    for damage, message in (
        ({"model": {"1.weight": torch.zeros(2)}}, "is not a usable training state"),
        ({"optimizer": []}, "is not a state of EigenSAM"),
        ({"metrics": None}, "is not a usable training state"),
        ({"metrics": good["metrics"] * 9}, "has more epochs than its settings"),
    ):
        save_state(path, {**good, **damage})
        with pytest.raises(InputError, match=message):
            train(SETTINGS, small, tmp_path / "r", resume=True)
    save_state(path, good)
    (path.parent / ".state.safetensors.x1y2").write_bytes(b"half")  # of a write that was killed
    train(SETTINGS, small, tmp_path / "r", resume=True)
    assert not list((tmp_path / "r").glob(".*"))


def test_places_that_cannot_be_a_run(small, tmp_path):
    with pytest.raises(InputError, match="/ cannot be a run directory"):
        train(SETTINGS, small, Path("/"))
    (tmp_path / "r.partial").write_text("mine")
    with pytest.raises(InputError, match="is in the way"):
        train(SETTINGS, small, tmp_path / "r", resume=True)
    assert [p.name for p in tmp_path.iterdir()] == ["r.partial"]


def test_refusals(small, tmp_path):
    with pytest.raises(InputError, match="batch_size = 301 exceeds the 300 training examples"):
        train(dataclasses.replace(SETTINGS, batch_size=301), small, tmp_path / "r")
    with pytest.raises(InputError, match="the settings name data 'mnist', but 'digits' was given"):
        train(dataclasses.replace(SETTINGS, data="mnist"), small, tmp_path / "r")
    with pytest.raises(InputError, match=r"cannot read .*metrics.jsonl"):
        read_metrics(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        read_metrics(tmp_path)
    assert not (tmp_path / "r.partial").exists()


def test_an_unfinished_run_goes_on_as_it_began(small, tmp_path, monkeypatch):
    """Other examples of the same name, device, threads, code or libraries: what follows would be another run."""
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, small, tmp_path / "r", progress=kill_at(3))

    def refused(message, data=small):
        with pytest.raises(InputError, match=rf"the unfinished run differs in {message}.*go on as it began"):
            train(SETTINGS, data, tmp_path / "r", resume=True)

    refused("examples", dataclasses.replace(small, train_inputs=small.train_inputs.flip(0)))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    refused(rf"threads \({threads} there, {threads + 1} here\)")
    torch.set_num_threads(threads)
    for name, value in (("code_fingerprint", "0"), ("library_versions", {"torch": "1.0"})):
        with monkeypatch.context() as patch:
            patch.setattr(identities, name, lambda module, value=value: value)
            refused("code of eigensam" if name == "code_fingerprint" else r"libraries \(.*torch 1.0 here\)")
    path = tmp_path / "r.partial" / "state.safetensors"
    state = load_state(path)
    save_state(path, {**state, "identity": {**state["identity"], "device": "cuda:0"}})
    refused(r"device \(cuda:0 there, cpu here\)")
    save_state(path, {name: value for name, value in state.items() if name != "identity"})  # of an earlier version
    refused("examples, device")
    save_state(path, state)
    train(SETTINGS, small, tmp_path / "r", resume=True)
    assert Checkpoint.read(tmp_path / "r").data_sha256 == data_digest(small)


def test_metrics_that_lost_lines_are_refused(small, tmp_path):
    train(SETTINGS, small, tmp_path / "r")
    path = tmp_path / "r" / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    for kept in (lines[:-1], lines[1:], [lines[0], lines[2]], [], [*lines[:2], "{}\n"], [*lines[:2], "3\n"]):
        path.write_text("".join(kept))
        with pytest.raises(InputError, match="does not hold one line for each epoch; train again"):
            read_metrics(tmp_path / "r")


def test_a_folder_that_is_no_unfinished_run_is_not_taken_over(tmp_path):
    """It would be renamed to the run: somebody's files, or another run that is finished."""
    (tmp_path / "w.partial").mkdir()
    (tmp_path / "w.partial" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is not an unfinished run: it holds thesis.txt"):
        check_run(tmp_path / "w", resume=True)
    (tmp_path / "v.partial").mkdir()
    (tmp_path / "v.partial" / "checkpoint.json").write_text("{}")
    with pytest.raises(InputError, match="is a finished run of its own"):
        check_run(tmp_path / "v", resume=True)


def test_what_it_was_made_with_is_asked_before_the_first_step(small, tmp_path, monkeypatch):
    """Its code is read once, from the disk: whoever edits it during a training would have it say what did not run."""
    module, seen = sys.modules["eigensam.optim.training.train"], []
    original = module.provenance
    monkeypatch.setattr(module, "provenance", lambda: seen.append("provenance") or original())
    settings = dataclasses.replace(SETTINGS, optimizer="sgd", spectrum_every=0, epochs=1)
    train(settings, small, tmp_path / "r", progress=lambda done, steps, latest: seen.append(done))
    assert seen[:2] == ["provenance", 1]
