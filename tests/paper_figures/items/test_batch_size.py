"""Alignment is a mean along training; claims compare the largest batch with the smallest."""

import pytest

from eigensam.ground.errors import InputError
from eigensam.optim.training.settings import TrainSettings
from eigensam.paper_figures.items.batch_size import BatchSize, batch_size_sweep
from eigensam.paper_figures.resources import Resources
from eigensam.paper_figures.sweep_words import MISSING

from .fabricated import group, texts, words

SIZES = (32, 128)
NAMES = {"sgd": "SGD", "sam": "SAM", "eigen-sam": "Eigen-SAM"}


def result(alignment, sharpness=2.0, accuracy=0.5, seeds=3):
    """Values of the large batch; those of the small one are 0.2, 1 and 0.6."""
    found = []
    for name, label in NAMES.items():
        for size, each in zip(SIZES, ((0.2, 1.0, 0.6), (alignment, sharpness, accuracy)), strict=True):
            metrics = dict(zip(("alignment", "lambda_1", "test_accuracy"), each, strict=True))
            settings = {"epochs": size // 32, "batch_size": size}
            made = group(f"{label}, B = {size}", name, seeds=seeds, settings=settings, **metrics)
            found.append(made)
    return found


def test_both_directions():
    assert words(BatchSize().claims(result(0.4))) == ["reproduced"] * 6
    assert words(BatchSize().claims(result(0.1, 0.5, 0.7))) == ["not reproduced"] * 6


def test_alignment_is_that_of_all_measurements():
    """Wrong on purpose: the last one alone would say the opposite."""
    found = result(0.4)
    for run in found[3]["seeds"]:  # SAM, large batch
        run["rows"] = [{"alignment": 0.9}, {}, {"alignment": float("nan")}, *run["rows"]]
        run["rows"][-1]["alignment"] = 0.1
    assert BatchSize().claims(found)[0].verdict.word == "reproduced"
    assert "0.500" in texts(BatchSize().tables(found)[0])
    heights = {each.get_label(): each[0].get_ydata()[1] for each in BatchSize().plot(found).axes[0].containers}
    assert heights["SAM"] == pytest.approx(0.5)


def test_one_seed_missing_keys_and_failures():
    assert words(BatchSize().claims(result(0.4, seeds=1))) == ["not resolved here"] * 6
    found = result(0.4)
    for run in found[3]["seeds"]:
        del run["rows"][-1]["alignment"]
    found[2]["seeds"][0] = {"seed": 0, "failed": "killed"}
    claims = BatchSize().claims(found)
    assert claims[0].verdict.word == "not resolved here"
    assert claims[1].verdict.word == "reproduced"
    assert "killed" in BatchSize().notes(found)[-1]
    BatchSize().plot(found)


def test_what_is_equal_is_said():
    found = result(0.4)
    assert "4 steps at every size" in BatchSize().caption(found)
    for each in found:
        each["settings"]["epochs"] = 3
    assert "3 epochs at every size" in BatchSize().caption(found)
    found[0]["settings"]["epochs"] = 5
    assert "3 to 20 steps" in BatchSize().caption(found)
    assert "is 0.1 at every size" in BatchSize().notes(found)[0]


def test_equal_steps_and_equal_epochs():
    settings = TrainSettings(subset=128, batch_size=64, epochs=10)
    steps = batch_size_sweep(settings, (32, 128))
    assert {run.batch_size: run.epochs for run in steps.runs()} == {32: 5, 128: 20}
    assert {run.batch_size: run.spectrum_every for run in steps.runs()} == {32: 1, 128: 4}
    assert {run.epochs for run in batch_size_sweep(settings, (32, 128), equal="epochs").runs()} == {10}
    with pytest.raises(InputError, match=r"batch sizes \[256\] of 128 examples"):
        batch_size_sweep(settings, (256,))
    with pytest.raises(InputError, match="unknown many examples"):
        batch_size_sweep(TrainSettings(), (256,))


def test_a_real_run(tmp_path):
    """The metrics of a training have what the item reads."""
    settings = TrainSettings(subset=64, batch_size=32, epochs=1, model="mlp32")
    item = BatchSize(batch_size_sweep(settings, (32, 64), seeds=(0,)))
    found = item.measure(Resources(tmp_path), lambda done, total: None)
    assert MISSING not in texts(item.tables(found)[0])
    assert "2 steps at every size" in item.caption(found)
