"""Checkpoints come back bit for bit; damaged, foreign and disguised ones are refused."""

import dataclasses
import json
import pickle
import shutil

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Checkpoint, build_model, data_digest, load_tensors, save_tensors


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    initial = build_model("mlp", (1, 8, 8), 10).state_dict()
    model = build_model("mlp", (1, 8, 8), 10)
    Checkpoint("mlp", (1, 8, 8), 10, "digits", {"lr": 0.1}, 7).save(tmp_path / "run", model, initial)
    return tmp_path / "run", model, initial


def test_round_trip(run):
    directory, model, initial = run
    checkpoint = Checkpoint.read(directory)
    assert (checkpoint.model, checkpoint.shape, checkpoint.seed, checkpoint.settings) == (
        "mlp",
        (1, 8, 8),
        7,
        {"lr": 0.1},
    )
    for source, loaded in (
        (model.state_dict(), checkpoint.network(directory)),
        (initial, checkpoint.network(directory, initial=True)),
    ):
        assert all(torch.equal(tensor, source[name]) for name, tensor in loaded.state_dict().items())
        assert not loaded.training
    sidecar = json.loads((directory / "checkpoint.json").read_text())
    assert sidecar["made_with"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_truncated(run):
    path = run[0] / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"not a complete safetensors file .* truncated"):
        Checkpoint.read(run[0]).network(run[0])


def test_a_pickle_in_disguise_is_not_executed(run, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    (run[0] / "checkpoint.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="pickles are refused"):
        Checkpoint.read(run[0]).network(run[0])
    torch.save(run[1].state_dict(), run[0] / "checkpoint.safetensors")
    with pytest.raises(InputError, match="pickles are refused"):
        Checkpoint.read(run[0]).network(run[0])
    assert not (tmp_path / "exploded").exists()


def test_tensors_of_another_model(run):
    directory = run[0]
    save_tensors(directory / "checkpoint.safetensors", build_model("cnn6", (1, 8, 8), 10).state_dict())
    with pytest.raises(InputError, match=r"has no tensor '1.weight': it belongs to another model"):
        Checkpoint.read(directory).network(directory)
    save_tensors(directory / "checkpoint.safetensors", build_model("mlp", (1, 8, 8), 9).state_dict())
    with pytest.raises(InputError, match=r"'5.weight' has shape \(9, 288\), the model needs \(10, 288\)"):
        Checkpoint.read(directory).network(directory)
    extra = {**run[1].state_dict(), "more": torch.zeros(1)}
    save_tensors(directory / "checkpoint.safetensors", extra)
    with pytest.raises(InputError, match="unknown tensor 'more'"):
        Checkpoint.read(directory).network(directory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("shape"), "damaged at 'shape'"),
        (lambda s: s.update(shape=[1, 8]), "is damaged at"),
        (lambda s: s.update(format="other"), "is not of format 'eigensam-checkpoint/2'"),
        (lambda s: s.update(seed="x"), "is damaged at"),
        (lambda s: s.update(seed=float("inf")), "Infinity is no number"),
        (lambda s: s.update(seed=1.5), "is damaged at seed 1.5"),
        (lambda s: s.update(seed=True), "is damaged at seed True"),
        (lambda s: s.update(shape="188"), "is damaged at shape '188'"),
        (lambda s: s.update(shape=[1.5, 8, 8]), r"is damaged at shape and classes \[1.5, 8, 8, 10\]"),
        (lambda s: s.update(shape=[1, "8", 8]), "is damaged at shape and classes"),
        (lambda s: s.update(classes="10"), "is damaged at classes '10'"),
        (lambda s: s.update(model="gpt"), "is damaged at model 'gpt'"),
        (lambda s: s.update(data=["digits"]), "is damaged at data"),
        (lambda s: s.update(settings=[["lr", 0.1]]), "is damaged at settings"),
        (lambda s: s.update(classes=10**12), "is damaged at shape and classes"),
        (lambda s: s.update(sha256=[]), "is damaged at"),
        (lambda s: s.update(kept_epoch=9), "is damaged at kept_epoch 9 of"),
        (lambda s: s.update(kept_epoch=-2), "is damaged at kept_epoch -2 of"),
    ],
)
def test_damaged_sidecar(run, change, message):
    path = run[0] / "checkpoint.json"
    sidecar = json.loads(path.read_text())
    change(sidecar)
    path.write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match=message):
        Checkpoint.read(run[0])


def test_a_sidecar_that_asks_for_forty_gigabytes_costs_nothing(run):
    """The shape [1, 9999, 9999] is compared with the tensors before anything of that size is made."""
    path = run[0] / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shape": [1, 9999, 9999]}))
    with pytest.raises(InputError, match=r"'1.weight' has shape \(288, 64\), the model needs \(288, 99980001\)"):
        Checkpoint.read(run[0]).network(run[0])


def test_tensors_that_the_sidecar_was_not_written_for(run, digits):
    directory = run[0]
    (directory / "checkpoint.safetensors").write_bytes((directory / "initial.safetensors").read_bytes())
    with pytest.raises(InputError, match="is not the file that the sidecar was written for"):
        Checkpoint.read(directory).network(directory)
    save_tensors(directory / "initial.safetensors", {n: t.half() for n, t in run[2].items()})
    with pytest.raises(InputError, match=r"is of type torch.float16, the model needs torch.float32"):
        Checkpoint.read(directory).network(directory, initial=True)


def test_the_data_must_fit(run, digits):
    checkpoint = Checkpoint.read(run[0])
    checkpoint.check_data(digits)
    with pytest.raises(InputError, match="was trained on digits, not svhn"):
        checkpoint.check_data(dataclasses.replace(digits, name="svhn"))
    with pytest.raises(InputError, match="the sidecar is damaged"):
        dataclasses.replace(checkpoint, classes=9).check_data(digits)


def test_other_examples_under_the_same_name_are_refused(run, digits):
    """Another data root: the same name, shape and classes."""
    checkpoint = dataclasses.replace(Checkpoint.read(run[0]), data_sha256=data_digest(digits))
    checkpoint.check_data(digits)
    for name in ("train_inputs", "train_targets", "test_inputs", "test_targets"):
        other = dataclasses.replace(digits, **{name: getattr(digits, name).flip(0)})
        with pytest.raises(InputError, match="trained on other examples than these, though both are called digits"):
            checkpoint.check_data(other)


def test_not_a_run(tmp_path, run):
    with pytest.raises(InputError, match=r"is not a finished run: no checkpoint.json"):
        Checkpoint.read(tmp_path)
    (run[0] / "checkpoint.safetensors").unlink()
    with pytest.raises(InputError, match="No such file"):
        Checkpoint.read(run[0]).network(run[0])
    shutil.rmtree(run[0])
    with pytest.raises(InputError, match="is not a finished run"):
        Checkpoint.read(run[0])


def test_load_tensors(tmp_path):
    save_tensors(tmp_path / "t", {"a": torch.arange(6).view(2, 3).T})  # not contiguous
    assert load_tensors(tmp_path / "t")["a"].tolist() == [[0, 3], [1, 4], [2, 5]]
