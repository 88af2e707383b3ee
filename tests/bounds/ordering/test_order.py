"""Verdicts on planted measures: what is the gap itself orders, noise does not, a hyper-parameter is caught."""

import numpy as np
import pytest

from eigensam.bounds import order_models
from eigensam.bounds.ordering.measures import MEASURES
from eigensam.bounds.ordering.order import _verdict
from eigensam.ground import InputError

SETTINGS = {"fitted": 0.99, "keep_unfitted": False, "resamples": 400}


def planted(seed=0, seeds=3):
    """The gap depends on learning rate, method, and on something of each configuration's own."""
    rng, records = np.random.default_rng(seed), []
    for m, method in enumerate(("sgd", "sam 0.1", "sam 0.2")):
        for b, batch_size in enumerate((16, 32, 64)):
            for r, lr in enumerate((0.02, 0.1)):
                own = rng.normal()
                for s in range(seeds):
                    gap = 0.1 + 0.02 * (-m + b + 1.5 * own) - 0.06 * r + 0.002 * rng.normal()
                    record = {name: float(rng.lognormal()) for name in MEASURES}
                    record |= {
                        "lambda_1": float(np.exp(10 * gap + 0.02 * rng.normal())),  # the gap itself
                        "norm": 1 / lr + 0.01 * rng.normal(),  # a hyper-parameter
                        "distance": float(np.exp(-10 * gap)),  # the wrong way
                        "gap": gap,
                        "error_gap": gap,
                        "held_out_loss": gap + 0.01,
                        "held_out_error": gap + 0.01,
                        "held_out_loss_error": 0.001,
                        "held_out_error_error": 0.001,
                        "train_accuracy": 1.0,
                        "training_loss": 0.01 + 0.001 * rng.random(),
                        "steps": 1000.0 / batch_size,
                        "method": method,
                        "batch_size": batch_size,
                        "lr": lr,
                        "rho": float(method.partition(" ")[2] or 0),
                        "seed": s,
                    }
                    records.append(record)
    return records


@pytest.fixture(scope="module")
def found():
    return order_models(planted(), SETTINGS)


def test_planted_verdicts(found):
    verdicts = {each.name: each for each in found.rankings if each.target == "gap"}
    assert verdicts["lambda_1"].verdict == "orders"
    assert verdicts["lambda_1"].tau > 0.9
    assert verdicts["distance"].verdict == "orders the wrong way"
    assert verdicts["norm"].verdict != "orders"
    assert verdicts["norm"].control == "lr"
    assert abs(verdicts["norm"].partial) < 0.3 < abs(verdicts["norm"].tau)
    random = [verdicts[name] for name in ("trace", "theorem", "layerwise", "normalised", "sharpness", "pac_bayes")]
    assert {each.verdict for each in random} == {"not resolved here"}


def test_a_measure_of_noise_is_rarely_resolved():
    """Holm over ten measures, one of which is real: the others, together, are resolved in few of 20 worlds."""
    wrong = 0
    for seed in range(20):
        result = order_models(planted(seed, seeds=2), {**SETTINGS, "resamples": 100})
        noise = [
            each for each in result.rankings if each.target == "gap" and each.name in ("trace", "theorem", "layerwise")
        ]
        wrong += any(each.verdict.startswith("orders") for each in noise)
    assert wrong <= 3


def test_unfitted_models_are_named(found):
    records = planted()
    for each in records[:4]:
        each["train_accuracy"] = 0.9
    result = order_models(records, SETTINGS)
    assert (len(result.records), len(result.left_out)) == (len(records) - 4, 4)
    assert "4 more are left out" in repr(result)
    everything = order_models(records, {**SETTINGS, "keep_unfitted": True})
    assert not everything.left_out
    for each in records:
        each["train_accuracy"] = 0.9
    with pytest.raises(InputError, match=r"0 of 54 models, of 0 configurations, .* --keep-unfitted"):
        order_models(records, SETTINGS)


def test_the_top_eigenvalue_within_learning_rates_and_batch_sizes(found):
    rows = {(row["axis"], row["value"]): row for row in found.within if row["target"] == "gap"}
    assert set(rows) == {("lr", 0.02), ("lr", 0.1), ("batch_size", 16), ("batch_size", 32), ("batch_size", 64)}
    assert all(row["lower"] <= row["tau"] <= row["upper"] for row in rows.values())
    assert {row["method"] for row in found.reductions} == {"sam 0.1", "sam 0.2"}
    row = next(row for row in found.reductions if row["method"] == "sam 0.2" and row["batch_size"] == 16)
    some = {(each["lr"], each["seed"], each["method"]): each for each in found.records if each["batch_size"] == 16}
    logs = [
        np.log(some[lr, s, "sam 0.2"]["lambda_1"] / some[lr, s, "sgd"]["lambda_1"])
        for lr in (0.02, 0.1)
        for s in range(3)
    ]
    assert row["ln_lambda_1"] == pytest.approx(np.mean(logs))


def test_picture_and_words(found):
    assert len(found.plot().axes) == 12
    text = repr(found)
    assert "54 models of 18 configurations" in text
    assert "these order the models: top eigenvalue of the Hessian (tau 0." in text
    assert "sam 0.2 at batch size 64" in text


def test_failed_trainings_are_named_and_the_others_compared():
    records = planted()
    own = ("method", "batch_size", "lr", "rho", "seed")
    records[5] = {name: records[5][name] for name in own} | {"failed": "the loss is not finite"}
    found = order_models(records, SETTINGS)
    assert len(found.records) == 53
    assert "Not compared, as it failed: sgd, batch size" in repr(found)


def test_what_a_verdict_needs():
    """Interval, adjusted p-value, what is left given the control, and the mean over single hyper-parameters."""
    sure = {"tau": 0.5, "interval": (0.3, 0.7), "p_value": 0.01, "partial": (0.1, 0.4), "granulated": 0.3}
    assert _verdict(**sure) == "orders"
    assert _verdict(**sure | {"partial": (-0.1, 0.2)}) == "explained by a control"
    assert _verdict(**sure | {"granulated": -0.1}) == "explained by a control"
    assert _verdict(**sure | {"p_value": 0.06}) == "not resolved here"
    assert _verdict(**sure | {"interval": (-0.1, 0.7)}) == "not resolved here"
    wrong = {"tau": -0.5, "interval": (-0.7, -0.3), "partial": (-0.4, -0.1), "granulated": -0.3}
    assert _verdict(**sure | wrong) == "orders the wrong way"
