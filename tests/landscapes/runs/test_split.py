"""Two disjoint parts of a training set, kept with the run."""

import json

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Run, Split, load_data
from eigensam.landscapes.tensor_files import load_tensors, save_tensors
from eigensam.optim import TrainSettings, train


@pytest.fixture(scope="module")
def data():
    return load_data("digits")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return train(
        TrainSettings("sgd", epochs=1, prior_fraction=0.4, seed=3), data, tmp_path_factory.mktemp("split") / "a"
    )


def test_parts_are_disjoint_and_whole():
    split = Split.draw(1437, 0.4, seed=3)
    assert len(split.prior) == 575
    assert sorted(split.prior.tolist() + split.bound.tolist()) == list(range(1437))
    assert torch.equal(split.prior, Split.draw(1437, 0.4, seed=3).prior)
    assert not torch.equal(split.prior, Split.draw(1437, 0.4, seed=4).prior)


def test_every_example_is_equally_likely_kept():
    """What makes both parts samples of independent draws; a split by position fails."""
    kept = torch.zeros(40)
    for seed in range(4000):
        kept[Split.draw(40, 0.25, seed).bound] += 1
    tolerance = 5 * (0.25 * 0.75 / 4000) ** 0.5  # fixed in advance
    assert (kept / 4000 - 0.75).abs().max() < tolerance
    wrong = torch.arange(40).ge(10).float()
    assert (wrong - 0.75).abs().max() > tolerance


def test_a_draw_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Split.draw(10, 0.5, seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_the_run_knows_its_parts(run, data):
    split = run.split
    assert torch.equal(split.prior, Split.draw(1437, 0.4, seed=3).prior)
    assert torch.equal(run.data().train_inputs, data.train_inputs[split.prior])
    assert torch.equal(split.bound_part(data).train_targets, data.train_targets[split.bound])
    assert len(run.data().train_targets) + len(split.bound_part(data).train_targets) == 1437
    run.checkpoint.check_data(run.data())
    with pytest.raises(InputError, match="other examples than these"):
        run.checkpoint.check_data(data)


def test_kept_examples_do_not_change_the_training(run, data, tmp_path):
    """The network is the same, whatever the kept examples are; one that looked at them would differ."""
    other = data.train_inputs.clone()
    other[run.split.bound] = 0.0
    import dataclasses

    changed = dataclasses.replace(data, train_inputs=other)
    again = train(TrainSettings("sgd", epochs=1, prior_fraction=0.4, seed=3), changed, tmp_path / "b")
    states = [each.network().state_dict() for each in (run, again)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    wrong = train(TrainSettings("sgd", epochs=1, seed=3), changed, tmp_path / "c").network().state_dict()
    assert not all(torch.equal(states[0][name], wrong[name]) for name in wrong)


def test_a_whole_run_has_no_split(data, tmp_path):
    run = train(TrainSettings("sgd", epochs=1), data, tmp_path / "a")
    assert run.split is None
    assert sorted(path.name for path in run.directory.iterdir()) == [
        "checkpoint.json",
        "checkpoint.safetensors",
        "initial.safetensors",
        "metrics.jsonl",
        "settings.json",
    ]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([0, 1], [1, 2]), "1 examples are in both parts"),
        (([0, 0], [1, 2]), "positions repeat or are left out"),
        (([0], [2]), "positions repeat or are left out"),
        (([], [0]), "need positions"),
    ],
)
def test_no_split(parts, message):
    with pytest.raises(InputError, match=message):
        Split(*(torch.tensor(part, dtype=torch.int64) for part in parts))


@pytest.mark.parametrize("fraction", [0.0001, 0.9999])
def test_an_empty_part_is_refused_before_anything_is_written(fraction, data, tmp_path):
    with pytest.raises(InputError, match="give a fraction such as"):
        train(TrainSettings("sgd", epochs=1, prior_fraction=fraction), data, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_split_is_refused(run, tmp_path, data):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run.directory, copy)
    tensors = load_tensors(copy / "split.safetensors")
    save_tensors(copy / "split.safetensors", {"prior": tensors["bound"].sort().values, "bound": tensors["prior"]})
    with pytest.raises(InputError, match="not the file that the sidecar was written for"):
        _ = Run(copy).split
    with pytest.raises(InputError, match="holds prior, not a split"):
        Split.from_tensors({"prior": tensors["prior"]}, copy)
    with pytest.raises(InputError, match="the split is one of 3 examples"):
        Split.draw(3, 0.5, 0).prior_part(data)


def test_other_data_under_the_same_name_are_refused(run, monkeypatch):
    """Also if only kept examples differ: the certificate would be about others."""
    import dataclasses

    import eigensam.landscapes.runs.run as module

    data = load_data("digits")
    other = data.train_inputs.clone()
    other[run.split.bound[0]] += 1.0
    monkeypatch.setattr(module, "load_data", lambda *_, **__: dataclasses.replace(data, train_inputs=other))
    with pytest.raises(InputError, match="split is one of other examples"):
        run.data()


def test_an_interrupted_run_resumes_with_its_split(data, tmp_path):
    settings, out = TrainSettings("sgd", epochs=2, prior_fraction=0.5), tmp_path / "a"

    class KilledError(Exception):
        pass

    def kill(step, steps, latest):
        if step > steps // 2 + 1:
            raise KilledError

    with pytest.raises(KilledError):
        train(settings, data, out, progress=kill)
    assert (tmp_path / "a.partial" / "split.safetensors").is_file()
    resumed = train(settings, data, out, resume=True)
    whole = train(settings, data, tmp_path / "b")
    states = [each.network().state_dict() for each in (resumed, whole)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert json.loads((out / "checkpoint.json").read_text())["whole_sha256"]
