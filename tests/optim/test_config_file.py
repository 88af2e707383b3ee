"""Settings in a file: read, merged with options, kept beside a run; what would be ignored or misread is refused."""

import json
from dataclasses import replace

import pytest

from eigensam.ground import InputError
from eigensam.landscapes import load_tensors
from eigensam.optim import (
    BASES,
    OPTIMIZERS,
    AdamWBase,
    CosineRate,
    CRSAMSettings,
    EigenSAMSettings,
    RMSpropBase,
    SAMSettings,
    StepRate,
    TrainSettings,
    train,
)

SHORT = ("--epochs", 1, "--batch-size", 700)
TOML = """
lr = 0.05
epochs = 2
batch_size = 700
base = "adamw"
augment = false

[optimizer]
name = "cr-sam"
rho = 0.2
gamma = 0.3

[schedule]
name = "step"
milestones = [1]
gamma = 0.5
"""
READ = TrainSettings(
    CRSAMSettings(rho=0.2, gamma=0.3), "adamw", StepRate("1", gamma=0.5), lr=0.05, epochs=2, batch_size=700
)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(TOML)
    return path


def _write(tmp_path, content, name="b.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def _trained(cli, tmp_path, *options):
    """Settings of a run by the command."""
    outcome = cli("train", *options, "--out", tmp_path / "r")
    assert outcome.code == 0, outcome
    return TrainSettings.read(tmp_path / "r" / "settings.json")


def test_both_formats_say_the_same(config, tmp_path):
    assert TrainSettings.read(config) == READ
    assert TrainSettings.read(str(_write(tmp_path, READ.to_dict()))) == READ
    assert TrainSettings.read(_write(tmp_path, {})) == TrainSettings()
    assert TrainSettings.read(_write(tmp_path, "", "b.toml")) == TrainSettings()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_method_in_a_file(tmp_path, name):
    settings = TrainSettings(name)
    assert TrainSettings.read(_write(tmp_path, settings.to_dict())) == settings
    assert TrainSettings.read(_write(tmp_path, {"optimizer": name})) == settings


@pytest.mark.parametrize("name", BASES)
def test_every_base_in_a_file(tmp_path, name):
    settings = TrainSettings(base=name)
    assert TrainSettings.read(_write(tmp_path, {"base": settings.to_dict()["base"]})) == settings


def test_the_command_takes_the_file(cli, config, tmp_path):
    assert _trained(cli, tmp_path, "--config", config) == READ


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ("--lr 0.01 --epochs 1", {"lr": 0.01, "epochs": 1}),
        ("--lr 0.1", {"lr": 0.1}),  # the default, but given
        ("--rho 0.4", {"optimizer": CRSAMSettings(rho=0.4, gamma=0.3)}),
        ("--optimizer cr-sam", {}),
        ("--optimizer sam", {"optimizer": SAMSettings()}),  # not the radius that the file gives to another method
        ("--optimizer eigen-sam --alpha 0.3", {"optimizer": EigenSAMSettings(alpha=0.3)}),
        ("--schedule-gamma 0.7", {"schedule": StepRate("1", gamma=0.7)}),
        ("--schedule cosine", {"schedule": CosineRate()}),
        ("--base adamw --beta1 0.8", {"base": AdamWBase(beta1=0.8)}),
        ("--base rmsprop --base-alpha 0.8", None),
    ],
)
def test_options_that_are_given_come_first(cli, config, tmp_path, options, change):
    change = {"base": RMSpropBase(alpha=0.8)} if change is None else change
    assert _trained(cli, tmp_path, "--config", config, *options.split()) == replace(READ, **change)


def test_flags_in_a_file(cli, tmp_path):
    """A flag has no value on the command line."""
    path = _write(tmp_path, {"optimizer": {"name": "eigen-sam", "normalize": True}, "epochs": 1, "batch_size": 700})
    assert _trained(cli, tmp_path, "--config", path).method == EigenSAMSettings(normalize=True)


@pytest.mark.parametrize("options", [("--optimizer", "cr-sam", "--schedule", "constant"), ("--prior-fraction", 0.5)])
def test_a_run_is_repeated_from_its_own_file_bit_for_bit(cli, tmp_path, options):
    for name, given in (("a", (*options, *SHORT, "--seed", 7)), ("b", ("--config", tmp_path / "a" / "settings.json"))):
        outcome = cli("train", *given, "--out", tmp_path / name)
        assert outcome.code == 0, outcome
    for file in ("checkpoint.safetensors", "initial.safetensors", "settings.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    first, second = (load_tensors(tmp_path / "a" / f"{name}.safetensors") for name in ("initial", "checkpoint"))
    assert any((first[name] != second[name]).any() for name in first)


def test_one_milestone_needs_no_list(tmp_path):
    found = [
        TrainSettings.read(_write(tmp_path, {"schedule": {"name": "step", "milestones": milestones}}))
        for milestones in (7, [7], "7", ["7"])
    ]
    assert {settings.rate.milestones for settings in found} == {"7"}


def test_a_run_from_python_has_the_file(digits, tmp_path):
    settings = replace(READ, epochs=1)
    run = train(settings, digits, tmp_path / "r")
    assert TrainSettings.read(run.directory / "settings.json") == settings


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"learning_rate": 0.1}, "'learning_rate' is not a setting of a training; "),
        ({"Lr": 0.1}, "'Lr' is not a setting of a training; did you mean 'lr'?"),
        ({"batchsize": 3}, "did you mean 'batch_size'?"),
        ({"momentum": 0.9}, "'momentum' is not a setting of a training; "),
        ({"optimizer": {"name": "sam", "roh": 0.1}}, "'roh' is not a setting of optimizer 'sam'; did you mean 'rho'?"),
        ({"optimizer": {"name": "sgd", "rho": 0.1}}, "'rho' is not a setting of optimizer 'sgd'; choose from: nothing"),
        ({"schedule": {"name": "step", "milestone": "1"}}, "did you mean 'milestones'?"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam'"),
        ({"base": {"momentum": 0.5}}, "base = {'momentum': 0.5} says no name; give one of: sgd, adamw"),
        ({"schedule": 3}, "schedule = 3 says no name; give one of: cosine, step, constant"),
        ({"schedule": {"name": 3}}, "says no name"),
        ({"lr": "0.1"}, "lr = '0.1' is not of type float"),
        ({"lr": True}, "lr = True is not of type float"),
        ({"lr": None}, "lr = None is not of type float"),
        ({"lr": [0.1]}, "lr = [0.1] is not of type float"),
        ({"epochs": 2.0}, "epochs = 2.0 is not of type int"),
        ({"augment": 1}, "augment = 1 is not of type bool"),
        ({"data": 3}, "data = 3 is not of type str"),
        ({"model": ["mlp"]}, "model = ['mlp'] is not of type str"),
        ({"data": []}, "data = [] is not of type str"),
        ({"schedule": {"name": "step", "milestones": [True]}}, "milestones = [True] is not of type str"),
        ({"schedule": {"name": "step", "milestones": 0.5}}, "milestones = 0.5 is not of type str"),
        ({"optimizer": {"name": "sam", "rho": "big"}}, "rho = 'big' is not of type float"),
        ({"lr": -1.0}, "lr = -1.0 must be positive"),
        ({"lr": float("nan")}, "lr = nan is out of range"),
        ({"optimizer": {"name": "sam", "rho": 0.0}}, "rho = 0.0 must be positive"),
        ({"schedule": {"name": "step", "milestones": [2, 1]}}, "milestones = '2,1' are not increasing epochs"),
        ({"optimizer": "sgd", "base": "adam"}, "takes no base 'adam'"),
        ([], "holds no settings"),
        ("3", "holds no settings"),
        ("{", "is not JSON"),
        ('{"lr": 0.1, "lr": 0.2}', "'lr' is given twice"),
        ("[" * 100000, "is not JSON"),
    ],
)
def test_refusals(refused, tmp_path, content, message):
    path = _write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        TrainSettings.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert message in refused("train", "--config", path, "--out", tmp_path / "r")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", b"lr = ", "is not TOML"),
        ("a.toml", b"lr = 0.1\nlr = 0.2", "is not TOML"),
        ("a.toml", b"\xff\xfe", "is not TOML"),
        ("a.toml", b"lr = 1979-05-27", "is not of type float"),
        ("a.yaml", b"lr: 0.1", "end its name in .toml or .json"),
        ("a", b"lr = 0.1", "end its name in .toml or .json"),
        ("a.json", b"lr = 0.1", "is not JSON"),
        ("a.toml", b"#" * (2**20 + 1), "at most 1048576 are read"),
    ],
)
def test_files_that_are_none(refused, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert message in refused("train", "--config", tmp_path / name, "--out", tmp_path / "r")


def test_places(refused, cli, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "No such file" in refused("train", "--config", "b.toml", "--out", "r")
    (tmp_path / "c.toml").mkdir()
    assert "it is a folder" in refused("train", "--config", "c.toml", "--out", "r")
    assert "--config is given twice" in refused("train", "--config", "a.toml", "--config", "a.toml", "--out", "r")
    assert "would overwrite --config" in refused("train", "--config", "a.toml", "--json", "a.toml", "--out", "r")
    assert "--alpha has no effect here" in refused("train", "--config", "a.toml", "--alpha", 0.1, "--out", "r")
    assert config.read_text() == TOML


def test_an_unfinished_run_goes_on_with_its_own_file(cli, digits, tmp_path):
    def kill(step, steps, latest):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(READ, digits, tmp_path / "r", progress=kill)
    own = tmp_path / "r.partial" / "settings.json"
    assert TrainSettings.read(own) == READ
    assert _trained(cli, tmp_path, "--config", own, "--resume") == READ
