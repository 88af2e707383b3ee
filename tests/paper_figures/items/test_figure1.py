"""Intervals, pairing and bands of Figure 1."""

import numpy as np
import pytest
from scipy import stats

from eigensam.ground.intervals import mean_interval
from eigensam.paper_figures.items.figure1 import Figure1, ratios

METRICS = {
    name: [
        [{"epoch": 1, "test_loss": 1.0}, {"epoch": 2, "lambda_1": scale * seed, "alignment": 0.1 * seed}]
        for seed in (1, 2, 3)
    ]
    for name, scale in (("sgd", 4.0), ("sam", 2.0), ("eigen-sam", 1.5))
}


def test_interval_against_scipy():
    values = [0.3, 0.9, 0.4, 0.7]
    interval = mean_interval(values)
    truth = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(truth)


def test_coverage_and_a_normal_quantile_that_fails():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(4000, 3))
    hits = sum(abs(i.mean) <= i.half_width for i in (mean_interval(list(s)) for s in samples))
    assert hits / 4000 == pytest.approx(0.95, abs=0.011)
    narrow = np.abs(samples.mean(1)) <= 1.96 * samples.std(1, ddof=1) / 3**0.5  # wrong on purpose
    assert narrow.mean() < 0.92


def test_ratios_are_paired_by_seed():
    assert ratios(METRICS, "lambda_1", "sam", "sgd") == [0.5, 0.5, 0.5]


def test_plot_shows_means_and_bands():
    figure = Figure1().plot(METRICS)
    alignment, top = figure.axes
    assert [line.get_label() for line in top.lines] == ["SGD", "SAM", "Eigen-SAM"]
    assert list(top.lines[0].get_xdata()) == [2]  # only where it was measured
    assert list(top.lines[0].get_ydata()) == [8.0]
    assert len(alignment.collections) == 3
    assert r"\lambda_1" in top.get_ylabel()


def test_one_seed_has_no_interval_and_says_so():
    """Neither a failure nor NaN: no band, no verdict, and words in the picture and in every table."""
    one = {name: runs[:1] for name, runs in METRICS.items()}
    last = {"test_accuracy": 0.9, "test_loss": 0.1, "train_loss": 0.2}
    one = {name: [[*runs[0][:-1], {**runs[0][-1], **last}]] for name, runs in one.items()}
    item = Figure1()
    figure = item.plot(one)
    for axes in figure.axes:
        assert len(axes.collections) == 0
        assert axes.get_legend().get_title().get_text() == "one seed: no interval"
    (table,) = item.tables(one)
    claims = item.claims(one)
    assert [claim.verdict.word for claim in claims] == ["not resolved here"] * 3
    assert all("one seed: no interval" in claim.verdict.decided_by for claim in claims)
    assert all("(one seed: no interval)" in claim.measured for claim in claims)
    assert claims[0].measured == "ratio 0.500 (one seed: no interval)"
    assert table.note == "Last epoch, one seed: no interval."
    assert "one seed: no bands" in item.caption(one)
    assert "nan" not in str((table, claims)).lower()
    assert "seeds" in item.caption(METRICS)


def test_an_edited_eigenvalue_decides_otherwise():
    before, edited = Figure1().claims(METRICS), {**METRICS, "sam": METRICS["sgd"]}
    edited["sam"] = [[*run[:-1], {**run[-1], "lambda_1": 2.2 * run[-1]["lambda_1"]}] for run in METRICS["sam"]]
    after = Figure1().claims(edited)
    assert [before[0].verdict.word, after[0].verdict.word] == ["reproduced", "not reproduced"]
    assert after[0].measured.startswith("ratio 1.100")
    assert "[1.100, 1.100] lies above 1" in after[0].verdict.decided_by
    assert Figure1().with_seeds(3).trainings.seeds == (0, 1, 2)
