"""Words, verdicts and picture of minima follow from the numbers; the item at a tiny size."""

import copy
import json
from dataclasses import replace

import pytest

from eigensam.ground.pictures import render, stacked_panels
from eigensam.optim import EigenSAMSettings, SAMSettings, SGDSettings, TrainSettings
from eigensam.paper_figures.items.minima import Minima
from eigensam.paper_figures.measurements.minima import MinimumSize
from eigensam.paper_figures.minima_picture import levels_of
from eigensam.paper_figures.resources import Resources
from eigensam.paper_figures.trainings import Trainings

FACTORS = {"sgd": 1.0, "sam": 0.5, "eigen-sam": 0.25}


def _run(seed, factor, *, plane):
    wobble = 1 + 0.01 * seed * factor  # so that ratios are not all alike
    run = {"seed": seed, "loss": 0.01, "norm": 10.0, "lambda_1": 4.0 * factor * wobble}
    run |= {"second_difference": 4.0 * factor * wobble * 1.001, "kept_curvature": 0.5, "unit_rise": 0.5 * factor}
    run |= {"rise": [0.01 * factor * wobble, factor * wobble], "random_rise": [1e-4, 1e-3 * (1 + 0.01 * seed * factor)]}
    if plane:
        start = {"epoch": 0, "a": 0.03, "b": -0.2, "distance": 10.0, "share": 0.01, "loss": 2.3, "drawn_loss": 0.4}
        end = {"epoch": 4, "a": 0.0, "b": 0.0, "distance": 0.0, "share": 1.0, "loss": 0.01, "drawn_loss": 0.01}
        run["plane"] = {"axis": [-0.1, 0.0, 0.1], "losses": [[2.0, 1.0, 2.0], [0.5, 0.01, 0.5], [2.0, 1.0, 3.0]]}
        run["plane"] |= {"eigenvalues": [4.0, 2.0], "parameters": 1000, "trajectory": [start, end]}
    return run


def _result(count=4, factors=FACTORS):
    runs = {n: [_run(seed, f, plane=seed == 0) for seed in range(count)] for n, f in factors.items()}
    kept = {"distances": [0.05, 0.5], "distance": 0.5, "unit_distance": 0.5, "agreement": 0.01}
    return {"runs": runs, "data": "digits", **kept}


def test_verdicts_follow_the_numbers():
    claims = Minima().claims(_result())
    words = [claim.verdict.word for claim in claims]
    good, open_ = "reproduced", "not resolved here"
    for_pair = [good, good, good, good]  # curvature, rise, per loss, with norm
    assert words[:4] == for_pair
    assert words[5:9] == for_pair
    assert words[-2:] == [good, "not reproduced"]  # curvatures agree; the plane does not hold the path
    assert claims[0].measured.startswith("ratio 0.49")
    assert claims[0].claim.startswith("The minimum of SAM, compared with that of SGD, has a smaller curvature")
    assert claims[5].claim.startswith("The minimum of Eigen-SAM, compared with that of SAM, has")
    assert claims[-2].measured == "largest relative deviation 1.0e-03 over 12 minima"
    assert "1 % of squared distances" in claims[-1].measured
    assert open_ not in words[:4]


def test_no_effect_and_harm_have_other_verdicts():
    """Wrong on purpose: SAM with SGD's numbers, and with twice as large ones."""
    same = Minima().claims(_result(factors={"sgd": 1.0, "sam": 1.0, "eigen-sam": 2.0}))
    assert [claim.verdict.word for claim in same[:4]] == ["not resolved here"] * 4
    assert [claim.verdict.word for claim in same[5:9]] == ["not reproduced"] * 4


def test_what_explains_a_flat_minimum_away_is_seen():
    """A tenth of the loss, or longer parameters: the curvature is lower, the control is not."""
    low = _result()
    for run in low["runs"]["sam"]:
        run["loss"] = 0.001
    words = [claim.verdict.word for claim in Minima().claims(low)]
    assert words[0] == "reproduced"
    assert words[2] == "not reproduced"
    long = _result()
    for run in long["runs"]["sam"]:
        run["norm"] = 20.0
    words = [claim.verdict.word for claim in Minima().claims(long)]
    assert words[0] == "reproduced"
    assert words[3] == "not reproduced"


def test_an_edited_file_shows_the_edited_numbers():
    result, item = _result(), Minima()
    edited = json.loads(json.dumps(result))
    for run in edited["runs"]["sam"]:
        run["lambda_1"] *= 4
    edited["runs"]["sgd"][0]["plane"]["trajectory"][0]["share"] = 0.9
    assert item.claims(edited)[0].verdict.word == "not reproduced"
    assert item.claims(edited)[-2].verdict.word == "not reproduced"  # another number than the second difference
    assert item.claims(edited)[0].measured != item.claims(result)[0].measured
    assert "SGD 90 %" in item.caption(edited)
    assert item.tables(edited)[1].rows[0][3] == "90.00"
    assert item.tables(edited)[0].rows[1][3] != item.tables(result)[0].rows[1][3]


def test_one_seed_decides_nothing():
    one = _result(count=1)
    item = Minima()
    claims = item.claims(one)
    assert {claim.verdict.word for claim in claims[:-2]} == {"not resolved here"}
    item.plot(one)
    texts = str((claims, item.tables(one), item.notes(one), item.caption(one)))
    assert "nan" not in texts.lower()
    assert "one seed: no interval" in texts


def test_picture_has_equal_levels_and_axes_and_says_what_is_hidden():
    result = _result()
    figure = Minima().plot(result)
    planes = figure.axes[:3]
    assert [axes.get_title() for axes in planes] == [
        f"({at}) training loss, {of}, seed 0" for at, of in zip("abc", ("SGD", "SAM", "Eigen-SAM"), strict=True)
    ]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in planes}) == 1
    assert len({tuple(axes.collections[0].levels) for axes in planes}) == 1
    for axes in planes:
        (words,) = [text.get_text() for text in axes.texts]
        assert words == "1 % of the path lies in this plane\nstart: loss 2.3, drawn where it is 0.4"
        assert list(axes.lines[0].get_xdata()) == [0.03, 0.0]
    rises = figure.axes[3]
    assert len(rises.lines) == 3 * 2 + 1
    assert len(rises.collections) == 6  # bands
    assert "3 points of the paths lie outside" in Minima().caption(result)
    with stacked_panels():
        assert render(Minima().plot(result), "svg").startswith(b"<?xml")


def test_levels_hold_every_loss():
    assert levels_of([{"losses": [[0.0, 0.011], [4.9, float("inf")]]}]) == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
    assert levels_of([{"losses": [[1.0, 1.0]]}]) == [1.0, 2.0]


def test_measured_at_a_tiny_size(tmp_path):
    settings = TrainSettings(data="digits", model="mlp32", epochs=2, subset=120)
    optimizers = (SGDSettings(), SAMSettings(), EigenSAMSettings(refresh_every=2))
    around = MinimumSize(distances=(0.05, 0.5), points=3)
    item = Minima(Trainings(settings, (0, 1), optimizers), around, snapshot_every=1)
    resources, steps = Resources(tmp_path), []
    result = item.measure(resources, lambda done, total: steps.append((done, total)))
    assert steps[-1] == (12, 12)
    assert steps == sorted(steps)
    seeds = {name: [run["seed"] for run in runs] for name, runs in result["runs"].items()}
    assert seeds == {name: [0, 1] for name in FACTORS}
    for runs in result["runs"].values():
        assert [row["epoch"] for row in runs[0]["plane"]["trajectory"]] == [0, 1, 2]
        assert "plane" not in runs[1]
    assert len(list((tmp_path / "runs" / "minima").iterdir())) == 6
    assert len(item.key(resources)["runs"]) == 6
    assert item.with_seeds(3).trainings.seeds == (0, 1, 2)
    again = copy.deepcopy(result)
    assert item.measure(resources, lambda done, total: None) == again
    assert len(item.claims(result)) == 12
    one = replace(item, trainings=Trainings(settings, (1,), optimizers[:1]))
    (runs,) = one.measure(resources, lambda done, total: None)["runs"].values()
    assert [run["seed"] for run in runs] == [1]
    assert item.claims(result)[-2].verdict.word == "reproduced"


def test_the_report_names_the_size():
    size = Minima().size()
    assert size["distance"] == pytest.approx(0.05)
    assert size["snapshot_every"] == 2
