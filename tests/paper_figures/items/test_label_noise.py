"""Claims follow the fabricated accuracies, in both directions."""

import pytest

from eigensam.optim.training.settings import TrainSettings
from eigensam.paper_figures.items.label_noise import LabelNoise, label_noise_sweep

from .fabricated import group, labels, texts, words

NOISES = (0.0, 0.4)


def result(accuracies, seeds=3):
    names = {"sgd": "SGD", "sam": "SAM", "eigen-sam": "Eigen-SAM"}
    return [
        group(
            f"{names[name]}, {100 * noise:g} % wrong",
            name,
            seeds=seeds,
            settings={"epochs": 1, "label_noise": noise},
            test_accuracy=accuracy - noise / 4,
            train_loss=noise,
            test_loss=0.1,
            lambda_1=1.0,
        )
        for name, accuracy in accuracies.items()
        for noise in NOISES
    ]


GOOD = {"sgd": 0.5, "sam": 0.6, "eigen-sam": 0.7}


def test_both_directions():
    right, wrong = result(GOOD), result({"sgd": 0.7, "sam": 0.6, "eigen-sam": 0.5})
    assert words(LabelNoise().claims(right)) == ["reproduced"] * 4
    assert words(LabelNoise().claims(wrong)) == ["not reproduced"] * 4


def test_an_edited_number_gives_another_verdict():
    found = result(GOOD)
    for run in found[3]["seeds"]:  # SAM with wrong labels
        run["rows"][-1]["test_accuracy"] = 0.1
    claims = LabelNoise().claims(found)
    assert "40 %" in claims[1].claim
    assert claims[1].verdict.word == "not reproduced"
    assert words(claims)[0] == "reproduced"
    assert "10.00" in texts(LabelNoise().tables(found)[0])


def test_one_seed_resolves_nothing():
    claims = LabelNoise().claims(result(GOOD, seeds=1))
    assert words(claims) == ["not resolved here"] * 4
    assert "one seed" in claims[0].verdict.decided_by


def test_failed_seeds_are_named_and_left_out():
    found = result(GOOD)
    found[0]["seeds"][1] = {"seed": 1, "failed": "diverged"}
    notes = LabelNoise().notes(found)
    assert notes[-1] == "SGD, 0 % wrong, seed 1: failed (diverged); means are over the other seeds."
    assert words(LabelNoise().claims(found)) == ["reproduced"] * 4


def test_missing_numbers_and_groups():
    found = result(GOOD)
    for run in found[0]["seeds"]:
        del run["rows"][-1]["test_accuracy"]
    assert words(LabelNoise().claims(found))[0] == "not resolved here"
    assert len(LabelNoise().claims(found[2:])) == 2  # without SGD
    LabelNoise().plot(found)


def test_picture():
    figure = LabelNoise().plot(result(GOOD))
    assert labels(figure.axes[0]) == ["SGD", "SAM", "Eigen-SAM"]
    heights = [container[0].get_ydata()[0] for container in figure.axes[0].containers]
    assert heights == pytest.approx([50, 60, 70], rel=0.01)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0", "40"]


def test_sweep():
    sweep = label_noise_sweep(TrainSettings(epochs=1), NOISES, seeds=(0,))
    assert [run.label_noise for run in sweep.runs()] == [0.0, 0.4] * 3
    assert [run.method.name for run in sweep.runs()][::2] == ["sgd", "sam", "eigen-sam"]
