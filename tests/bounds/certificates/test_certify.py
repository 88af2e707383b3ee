"""Certificates of trained networks: recomputed from their parts, and refused where they would not hold."""

import dataclasses
import hashlib
import json
import math
import shutil
from fractions import Fraction

import mpmath
import pytest
import torch
from scipy.stats import beta

from eigensam.bounds import CertifySettings, certify
from eigensam.bounds.certificates import certify as module
from eigensam.ground import InputError
from eigensam.landscapes import Run, Split, load_data
from eigensam.landscapes.runs.data_digests import data_digest
from eigensam.landscapes.tensor_files import load_tensors, save_tensors
from eigensam.optim import SAMSettings, TrainSettings, train

QUICK = CertifySettings(draws=100, epochs=3)


@pytest.fixture(scope="module")
def found(trained, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("found") / "run"
    shutil.copytree(trained.directory, folder)
    return certify(folder, QUICK, digits)


def test_what_it_says(found):
    assert (found.kind, found.delta, found.loss, found.vacuous) == ("certificate", 0.05, "0-1", False)
    assert found.certificate == min(found.at_prior.certificate, found.optimised.certificate)
    assert found.examples == {"bound": 683, "choices": 36, "prior": 718}
    for statement in (found.at_prior, found.optimised):
        assert statement.risk < statement.risk_upper < statement.certificate < 0.08
    assert found.clopper_pearson < found.at_prior.certificate  # it wins here, and a reader must see it
    assert {"certificate", "risk", "delta", "ledger", "gibbs_at_prior", "clopper_pearson", "test_error"} <= {
        *found.to_dict()
    }
    json.dumps(found.to_dict())


def test_catoni_from_its_parts(found):
    """The same formula in 40 digits, from what the certificate says of itself."""
    c, n = mpmath.mpf(found.frozen["inequality"]["c"]), found.examples["bound"]
    with mpmath.workdps(40):
        for statement in (found.at_prior, found.optimised):
            exponent = c * statement.risk_upper + (statement.kl - mpmath.log(found.frozen["delta"]["bound"])) / n
            exact = (1 - mpmath.exp(-exponent)) / (1 - mpmath.exp(-c))
            assert 0 <= statement.certificate - exact < 1e-15


def test_clopper_pearson_by_its_beta_quantile(found):
    n = found.examples["bound"]
    errors = round(found.error_at_prior * n)
    assert found.clopper_pearson == pytest.approx(beta.ppf(0.95, errors + 1, n - errors), rel=1e-12)


def test_the_ledger_adds_up(found):
    spent = [Fraction(entry.delta) for entry in found.ledger.entries]
    assert sum(spent) <= Fraction(0.05)
    parts = found.frozen["delta"]
    assert Fraction(parts["bound"]) + 2 * Fraction(parts["draws"]) == sum(spent)
    assert float(sum(spent)) == pytest.approx(0.05, rel=1e-12)


def test_the_risk_by_explicit_weights(run, digits):
    """Last layers drawn one by one on the network itself; a wrong split of examples would be far off."""
    found = certify(run, QUICK, digits)
    kept = run.split.bound_part(digits)
    n = found.examples["choices"]
    network, generator = run.network(), torch.Generator().manual_seed(7)
    head, risks = network[-1], []
    weights = [p.detach().clone() for p in head.parameters()]
    with torch.no_grad():
        for _ in range(200):
            for parameter, value in zip(head.parameters(), weights, strict=True):
                noise = torch.randn(value.shape, generator=generator)
                parameter.copy_(value + found.frozen["width"] * noise)
            wrong = network(kept.train_inputs[n:]).argmax(1) != kept.train_targets[n:]
            risks.append(float(wrong.float().mean()))
    mean, error = sum(risks) / 200, torch.tensor(risks).std().item() / math.sqrt(200)
    assert found.at_prior.risk == pytest.approx(mean, abs=5 * error + 5e-4)
    assert mean < found.at_prior.risk_upper + 5 * error


def test_the_same_choices_give_the_same_number(run, digits):
    first, second = (certify(run, QUICK, digits).to_dict() for _ in range(2))
    assert first == second
    assert len(json.loads((run.directory / "frozen.json").read_text())["records"]) == 1


def test_other_choices_after_a_look_are_refused(run, digits):
    certify(run, QUICK, digits)
    for other in ({"delta": 0.1}, {"seed": 1}, {"inequality": "maurer"}, {"width": 0.01}, {"draws": 101}):
        with pytest.raises(InputError, match="were read for other choices"):
            certify(run, dataclasses.replace(QUICK, **other), digits)


def test_announced_looks_share_delta(run, digits):
    first = certify(run, dataclasses.replace(QUICK, looks=2), digits)
    second = certify(run, dataclasses.replace(QUICK, looks=2, width=0.01), digits)
    for each in (first, second):
        assert each.frozen["delta"]["bound"] + 2 * each.frozen["delta"]["draws"] == pytest.approx(0.025, rel=1e-12)
    with pytest.raises(InputError, match="were read for other choices"):
        certify(run, dataclasses.replace(QUICK, looks=2, width=0.02), digits)


def test_a_union_over_fractions_is_paid(run, digits):
    found = certify(run, QUICK, digits, union=5)
    assert found.frozen["delta"]["bound"] + 2 * found.frozen["delta"]["draws"] == pytest.approx(0.01, rel=1e-12)


def test_choices_are_on_disk_before_a_kept_example_is_read(run, digits, monkeypatch):
    """The door: without the record it does not open."""
    monkeypatch.setattr("eigensam.bounds.certificates.frozen.FrozenChoices.write", lambda self, folder: None)
    with pytest.raises(InputError, match="does not hold these choices"):
        certify(run, QUICK, digits)


def test_a_prior_that_changes_in_between_is_found(run, digits, monkeypatch):
    """Someone replaces the checkpoint, sidecar and all, while the posterior is trained."""
    other = train(TrainSettings("sgd", epochs=1, prior_fraction=0.5, seed=1), digits, run.directory.with_name("other"))
    plain = module._statement

    def replaced(*arguments):
        for name in ("checkpoint.safetensors", "checkpoint.json"):
            shutil.copy(other.directory / name, run.directory / name)
        run.checkpoint = Run(run.directory).checkpoint
        return plain(*arguments)

    monkeypatch.setattr(module, "_statement", replaced)
    with pytest.raises(InputError, match="or the prior, have changed since they were frozen"):
        certify(run, QUICK, digits)


def test_one_changed_byte_of_the_prior(run, digits):
    path = run.directory / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="not the file that the sidecar was written for"):
        certify(run, QUICK, digits)


def test_a_network_trained_on_everything_is_refused(digits, tmp_path):
    run = train(TrainSettings("sgd", epochs=2), digits, tmp_path / "a")
    with pytest.raises(InputError, match=r"trained on all 1437.*errors in 360; Clopper-Pearson.*--prior-fraction 0.5"):
        certify(run, QUICK, digits)
    assert not (run.directory / "frozen.json").exists()


def test_other_data_are_refused(run, digits):
    other = dataclasses.replace(digits, train_targets=digits.train_targets.roll(1))
    with pytest.raises(InputError, match="split is one of other examples"):
        certify(run, QUICK, other)


def test_too_few_kept_examples(digits, tmp_path):
    run = train(TrainSettings("sgd", epochs=1, prior_fraction=0.995), digits, tmp_path / "a")
    with pytest.raises(InputError, match="too few for a bound"):
        certify(run, QUICK, digits)


def test_permuted_labels_certify_nothing(shuffled, tmp_path):
    """Nothing can be learned, so an honest certificate is near 0.9; what a forged split would claim is far below."""
    settings = TrainSettings(SAMSettings(rho=0.01), epochs=60, lr=0.1, prior_fraction=0.5)
    honest = train(settings, shuffled, tmp_path / "honest")
    assert certify(honest, QUICK, shuffled).certificate >= 0.85
    forged = tmp_path / "forged"
    shutil.copytree(honest.directory, forged)
    (forged / "frozen.json").unlink()
    split = load_tensors(forged / "split.safetensors")
    swapped = Split(split["bound"].sort().values, split["prior"])  # wrong: the prior has seen what it is judged by
    save_tensors(forged / "split.safetensors", swapped.to_tensors())
    sidecar = json.loads((forged / "checkpoint.json").read_text())
    sidecar["sha256"]["split.safetensors"] = hashlib.sha256((forged / "split.safetensors").read_bytes()).hexdigest()
    sidecar["data_sha256"] = data_digest(swapped.prior_part(shuffled))
    (forged / "checkpoint.json").write_text(json.dumps(sidecar))
    assert certify(forged, QUICK, shuffled).certificate < 0.6


@pytest.mark.parametrize("prior", ["initial", "zero"])
def test_a_prior_without_data(prior, run, digits):
    """All examples count; the width is one of a grid that is paid for."""
    found = certify(run, CertifySettings(prior=prior, draws=10, epochs=100), digits)
    assert found.examples["bound"] == 1437
    assert found.frozen["width"] == "grid"
    assert found.optimised.kl > 20
    assert found.optimised.certificate < found.at_prior.certificate
    assert not found.vacuous
    assert found.optimised.certificate > found.optimised.test  # holds, and by far


def test_all_layers_of_a_perceptron(run, digits):
    found = certify(run, CertifySettings(layers="all", draws=10, epochs=1), digits)
    assert found.certificate < 0.12


@pytest.mark.parametrize("posterior", ["isotropic", "layerwise"])
def test_other_shapes(posterior, run, digits):
    assert certify(run, dataclasses.replace(QUICK, posterior=posterior), digits).certificate < 0.08


def test_cross_entropy(run, digits):
    found = certify(run, dataclasses.replace(QUICK, loss="cross-entropy"), digits)
    assert found.clopper_pearson is None
    assert found.at_prior.risk < found.certificate < found.trivial_risk == pytest.approx(0.333, abs=1e-3)


def test_convolutions(digits, tmp_path):
    run = train(
        TrainSettings("sgd", model="cnn4", epochs=20, batch_size=16, prior_fraction=0.5), digits, tmp_path / "a"
    )
    assert certify(run, CertifySettings(draws=10, epochs=1), digits).certificate < 0.5
    with pytest.raises(InputError, match=r"--layers all is for perceptrons.*take --layers last"):
        certify(run, CertifySettings(layers="all"), digits)


def test_data_that_are_built_in_need_not_be_given(run):
    assert certify(run, QUICK).certificate < 0.08
    assert load_data("digits").classes == 10


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"delta": 0.0}, "delta"),
        ({"delta": 1.0}, "delta"),
        ({"delta": float("nan")}, "delta"),
        ({"loss": "hinge"}, "unknown loss"),
        ({"prior": "best"}, "unknown prior"),
        ({"posterior": "full"}, "unknown posterior"),
        ({"inequality": "hope"}, "unknown inequality"),
        ({"width": -1.0}, "width"),
        ({"choice_share": 1.0}, "choice_share"),
        ({"mc_share": 0.0}, "mc_share"),
        ({"p_min": 0.0}, "p_min"),
        ({"looks": 0}, "looks"),
        ({"posterior": "low-rank", "prior": "zero"}, "no curvature"),
    ],
)
def test_settings_out_of_range(given, message):
    with pytest.raises(InputError, match=message):
        CertifySettings(**given)


def test_a_forged_split_of_a_network_trained_on_everything(digits, tmp_path):
    """Sidecar and all: the digest of what it was trained on is not that of the prior part."""
    run = train(TrainSettings("sgd", epochs=1), digits, tmp_path / "a")
    path = run.directory / "split.safetensors"
    save_tensors(path, Split.draw(1437, 0.5, 0).to_tensors())
    sidecar = json.loads((run.directory / "checkpoint.json").read_text())
    sidecar["sha256"]["split.safetensors"] = hashlib.sha256(path.read_bytes()).hexdigest()
    sidecar["whole_sha256"] = data_digest(digits)
    (run.directory / "checkpoint.json").write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match="was trained on other examples than these"):
        certify(run.directory, QUICK, digits)
    del sidecar["data_sha256"]
    (run.directory / "checkpoint.json").write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match="does not say which examples it was trained on"):
        certify(run.directory, QUICK, digits)


@pytest.mark.parametrize("given", [{"width": 1e-300}, {"mc_share": 1e-300}])
def test_what_is_refused_spends_no_look(given, run, digits):
    with pytest.raises(InputError):
        certify(run, dataclasses.replace(QUICK, **given), digits)
    assert not (run.directory / "frozen.json").exists()


def test_a_prior_without_data_has_seen_none(run, digits):
    found = certify(run, CertifySettings(prior="initial", draws=2, epochs=1), digits)
    assert found.examples == {"bound": 1437, "choices": 0, "prior": 0}
    assert any("another seed deals the same examples" in sentence for sentence in found.assumptions)
