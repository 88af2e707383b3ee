"""``eigensam certify``: from data alone, from a run, several fractions; what it writes."""

import json
import shutil

import pytest
import torch

from eigensam.bounds.certificates.recipe import PriorRecipe
from eigensam.bounds.certificates.run_certify import permuted
from eigensam.ground import InputError

QUICK = ("--draws", 20, "--epochs", 2, "--device", "cpu")
DATA = ("certify", "--data", "digits", "--prior-epochs", 3, *QUICK)
KEYS = {"certificate", "risk", "delta", "ledger", "gibbs_at_prior", "clopper_pearson", "test_error", "made_with"}


def test_from_data(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = cli(*DATA, "--json", "a.json", "--plot", "a.png")
    assert outcome.code == 0, outcome.err
    found = json.loads((tmp_path / "a.json").read_text())
    assert found.keys() >= KEYS
    assert 0 < found["risk"] < found["certificate"] < 0.5
    for text in ("certificate", "Clopper-Pearson", "spent", "frozen", "It assumes:"):
        assert text in outcome.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.png"]  # the prior was temporary


def test_several_fractions_share_delta(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = cli(*DATA, "--fractions", "0.3,0.6", "--json", "a.json", "--plot", "a.pdf", "--out", "priors")
    assert outcome.code == 0, outcome.err
    found = json.loads((tmp_path / "a.json").read_text())
    each = found["fractions"]
    assert found["certificate"] == min(part["certificate"] for part in each)
    for part in each:
        spent = part["frozen"]["delta"]
        assert spent["bound"] + 2 * spent["draws"] == pytest.approx(0.025, rel=1e-12)
    assert sorted(path.name for path in (tmp_path / "priors").iterdir()) == ["prior-0.3", "prior-0.6"]
    again = cli(*DATA, "--fractions", "0.3,0.6", "--json", "b.json", "--out", "priors")
    assert again.code == 0, again.err
    second = json.loads((tmp_path / "b.json").read_text())
    assert second["certificate"] == found["certificate"]
    alone = cli(*DATA, "--fractions", "0.3", "--out", "priors")  # with all of delta: another look
    assert alone.code == 2
    assert "were read for other choices" in alone.err
    other = cli(*DATA, "--fractions", "0.3", "--out", "priors", "--optimizer", "sgd")
    assert other.code == 2
    assert "the prior of other settings" in other.err


def test_from_a_run(cli, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.directory, tmp_path / "run")
    outcome = cli("certify", "run", *QUICK, "--json", "-")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["examples"] == {"bound": 683, "choices": 36, "prior": 718}


def test_permuted_labels(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = cli(*DATA, "--permute-labels", "--json", "a.json")
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "a.json").read_text())["certificate"] >= 0.85


def test_permutations_keep_the_classes(digits):
    other = permuted(digits, 0)
    assert (other.train_targets != digits.train_targets).float().mean() > 0.8
    assert other.train_targets.bincount().tolist() == digits.train_targets.bincount().tolist()
    assert other.test_targets.bincount().tolist() == digits.test_targets.bincount().tolist()


def test_what_was_trained_is_kept_and_goes_on(cli, tmp_path, monkeypatch):
    """Killed in the training of the prior: the same command goes on."""
    import eigensam.bounds.certificates.run_certify as module

    monkeypatch.chdir(tmp_path)
    plain = module.train

    class KilledError(Exception):
        pass

    def killed(*arguments, **named):
        def stop(done, total, latest):
            if done > total // 2:
                raise KilledError

        return plain(*arguments, **{**named, "progress": stop})

    monkeypatch.setattr(module, "train", killed)
    with pytest.raises(KilledError):
        cli(*DATA, "--out", "priors")
    monkeypatch.setattr(module, "train", plain)
    assert (tmp_path / "priors" / "prior-0.5.partial").is_dir()
    outcome = cli(*DATA, "--out", "priors", "--json", "a.json")
    assert outcome.code == 0, outcome.err
    fresh = cli(*DATA, "--json", "b.json")
    assert fresh.code == 0
    first, second = (json.loads((tmp_path / name).read_text())["certificate"] for name in ("a.json", "b.json"))
    assert first == second


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": "nope"}, "unknown data"),
        ({"model": "nope"}, "unknown model"),
        ({"optimizer": "nope"}, "unknown optimizer"),
        ({"fractions": "0.5,2"}, "need different numbers in"),
        ({"fractions": "0.5,0.5"}, "need different numbers in"),
        ({"fractions": ""}, "is not a number"),
        ({"prior_epochs": -1}, "prior_epochs"),
        ({"prior_seed": -1}, "prior_seed"),
    ],
)
def test_recipes_out_of_range(given, message):
    with pytest.raises(InputError, match=message):
        PriorRecipe(**given)


def test_recipes():
    small, large = (PriorRecipe().training(count, 0.3) for count in (1437, 60_000))
    assert (small.epochs, small.method.rho, small.prior_fraction) == (60, 0.5, 0.3)
    assert (large.epochs, large.method.rho) == (30, 0.1)
    assert [PriorRecipe().shares(count) for count in (1437, 60_000)] == [[0.5], [0.7]]
    assert PriorRecipe(model="cnn4").training(60_000, 0.5).epochs == 8
    other = PriorRecipe(optimizer="eigen-sam", prior_seed=3).training(60_000, 0.5)
    assert (other.seed, other.method.rho) == (3, 0.1)


def test_labels_are_not_permuted_as_the_split_is_drawn(digits):
    order = torch.randperm(1437, generator=torch.Generator().manual_seed(5))  # as Split.draw
    assert not torch.equal(permuted(digits, 5).train_targets, digits.train_targets[order])
