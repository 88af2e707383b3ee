"""What the item says of given numbers, and the item at a tiny size."""

import copy
from dataclasses import replace

import pytest

from eigensam.ground import InputError
from eigensam.ground.pictures import stacked_panels
from eigensam.ground.records import through_json
from eigensam.optim import EigenSAMSettings, TrainSettings
from eigensam.paper_figures.followed_trainings import FollowedTrainings
from eigensam.paper_figures.items.eigenvector_decay import EigenvectorDecay
from eigensam.paper_figures.resources import Resources

YES, NO, OPEN = "reproduced", "not reproduced", "not resolved here"
LOOKS = (0, 50, 100)


def _run(seed, parameters, own, exact):
    """Alignments fall linearly over the looks, in two moments that differ."""
    frozen = []
    for moment in (0, 1):
        rows = []
        for look, after in enumerate(LOOKS):
            row = {"after": after, "lambda_1": 1.0, "gap": 0.1 + 0.1 * moment, "sine": 1e-4, "resolved": True}
            for name, (first, last) in (("own", own), ("exact", exact)):
                value = first + (last - first) * look / 2 + 0.01 * (-1) ** (moment + seed) * (look + 1)
                row[name] = {"alignment": value, "plane": value + 0.02, "ratio": value + 0.01}
            rows.append(row)
        frozen.append({"step": 100 * (moment + 1), "rows": rows})
    return {"parameters": parameters, "frozen": frozen}


def _result(seeds=5, small=(0.8, 0.75), large=(0.8, 0.7), exact=(1.0, 0.9)):
    networks = {
        "small": [_run(seed, 100, small, exact) for seed in range(seeds)],
        "large": [_run(seed, 10_000, large, exact) for seed in range(seeds)],
    }
    jitter = [0.003 * seed for seed in range(seeds)]
    for runs in networks.values():
        for run, more in zip(runs, jitter, strict=True):
            for frozen in run["frozen"]:
                for name in ("own", "exact"):
                    frozen["rows"][-1][name]["alignment"] -= more
    return {"networks": networks, "every": 100, "used": 5, "batch_size": 64, "examples": 512, "data": "digits"}


def _words(result):
    return [claim.verdict.word for claim in EigenvectorDecay().claims(result)]


def test_verdicts_follow_the_numbers():
    assert _words(_result()) == [YES] * 8
    # Wrong on purpose: all is lost in the large network, and so it is not slightly more
    assert _words(_result(large=(0.8, 0.1))) == [YES, YES, YES, NO, YES, NO, NO, YES]
    assert _words(_result(exact=(1.0, 0.5))) == [YES, NO, YES, YES, NO, YES, YES, YES]


def test_an_estimate_that_is_poor_at_first_has_nothing_to_lose():
    claims = EigenvectorDecay().claims(_result(large=(0.2, 0.2)))
    assert [claim.verdict.word for claim in claims] == [YES, YES, YES, OPEN, YES, NO, OPEN, YES]
    assert "but the alignment is 0.20 at first, poor, and has little to lose" in claims[3].verdict.decided_by


def test_one_seed_decides_nothing():
    assert set(_words(_result(seeds=1))) == {OPEN}
    assert "one seed: no bands" in EigenvectorDecay().caption(_result(seeds=1))


def test_seeds_are_paired():
    """Networks whose seeds differ alike differ little from one another; in another order nothing is resolved."""
    result = _result()
    for runs in result["networks"].values():
        for seed, run in enumerate(runs):
            for frozen in run["frozen"]:
                frozen["rows"][-1]["own"]["alignment"] -= 0.1 * seed
    assert _words(result)[-2] == YES
    result["networks"]["large"].reverse()
    assert _words(result)[-2] == OPEN


def test_a_refused_eigenvector_is_no_number():
    result = _result()
    for run in result["networks"]["small"]:
        row = run["frozen"][0]["rows"][-1]
        row["resolved"] = False
        row["own"]["alignment"] = row["exact"]["alignment"] = None
    assert _words(result) == [OPEN] * 3 + [YES] * 3 + [OPEN] * 2
    assert "5 of 60 looks failed that" in EigenvectorDecay().notes(result)[1]
    assert EigenvectorDecay().plot(result)


def test_an_edited_number_shows():
    item, edited = EigenvectorDecay(), copy.deepcopy(_result())
    for run in edited["networks"]["small"]:
        for frozen in run["frozen"]:
            frozen["rows"][-1]["own"]["alignment"] = 0.125
    assert "Eigen-SAM's estimate 0.80 ± 0.00 at first and 0.12 ± 0.00 after 100 steps" in item.caption(edited)
    assert item.claims(edited)[0].verdict.word == NO
    assert [row[3] for row in item.tables(edited)[0].rows[::2]] == ["0.12 ± 0.00"] * 2
    assert "a random vector has 0.100" in item.claims(edited)[2].measured


def test_a_vector_that_mixes_keeps_its_curvature():
    note = EigenvectorDecay().notes(_result())[0]
    assert "small: 0.11, 0.10 and 0.10" in note
    assert "is 0.20 in the median" in note


def test_picture():
    figure = EigenvectorDecay().plot(_result())
    assert len(figure.axes) == 4
    lines = {line.get_label(): line for line in figure.axes[1].lines}
    assert list(lines) == ["estimate of Eigen-SAM", "exact eigenvector", "random vector"]
    assert float(lines["random vector"].get_ydata()[0]) == pytest.approx(0.01)
    assert list(lines["exact eigenvector"].get_xdata()) == list(LOOKS)
    with stacked_panels():
        assert EigenvectorDecay().plot(_result()).get_figheight() > figure.get_figheight()


METHOD = EigenSAMSettings(solver="power", guard=0.0, refresh_every=2)
SETTINGS = TrainSettings(optimizer=METHOD, model="linear", epochs=2, batch_size=300)  # 8 steps
TRAININGS = FollowedTrainings(SETTINGS, ("linear", "mlp32"), seeds=(0, 1), examples=60)
TINY = EigenvectorDecay(TRAININGS, shares=(0.25, 0.5), looks=(0, 1, 2))


def test_at_a_tiny_size(tmp_path):
    resources = Resources(tmp_path)
    TINY.prepare(resources)
    assert [(run.steps, run.done, run.measurements) for run in TINY.planned(resources)] == [(8, False, 6)] * 4
    result = through_json(TINY.measure(resources, lambda done, total: None))
    assert all(run.done for run in TINY.planned(resources))
    assert [runs[0]["parameters"] for runs in result["networks"].values()] == [650, 2410]
    assert [each["step"] for each in result["networks"]["linear"][0]["frozen"]] == [2, 4]
    for each in (TINY.claims(result), TINY.caption(result), TINY.tables(result), TINY.notes(result), TINY.plot(result)):
        assert each
    assert TINY.with_seeds(3).trainings.seeds == (0, 1, 2)
    assert TINY.key(resources) != replace(TINY, looks=(0, 2)).key(resources)
    assert TINY.made_with(resources)["dtype"] == "float32"
    assert TINY.in_the_paper


def test_refusals(tmp_path):
    resources = Resources(tmp_path)
    for looks in ((), (0,), (1, 2), (0, 2, 1)):
        with pytest.raises(InputError, match="give increasing numbers of steps, the first one 0, and one more"):
            replace(TINY, looks=looks).prepare(resources)
    with pytest.raises(InputError, match=r"a training of 8 steps has no refresh near .* that 20 steps follow; train"):
        replace(TINY, looks=(0, 20)).prepare(resources)
    with pytest.raises(InputError, match="what is followed are estimates of Eigen-SAM; give it, with at least one"):
        replace(TINY, trainings=replace(TRAININGS, models=())).prepare(resources)
