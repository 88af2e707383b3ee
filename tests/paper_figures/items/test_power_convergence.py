"""What the item says of given numbers, and the item at a tiny size."""

import copy
from dataclasses import replace

import pytest

from eigensam.ground import InputError
from eigensam.ground.pictures import stacked_panels
from eigensam.ground.records import through_json
from eigensam.optim import EigenSAMSettings, TrainSettings
from eigensam.paper_figures import convergence_words
from eigensam.paper_figures.followed_trainings import FollowedTrainings
from eigensam.paper_figures.items.power_convergence import PowerConvergence
from eigensam.paper_figures.measurements import power_convergence
from eigensam.paper_figures.resources import Resources

PRODUCTS = 8


def _curve(reached, seed):
    """After ``p`` products the error is ``(1 - reached)^(p/5)``: after five it is ``1 - reached``."""
    alignment = [1 - (1 - reached) ** (p / 5) - 0.002 * seed for p in range(PRODUCTS + 1)]
    return {"alignment": alignment, "ratio": [min(1.0, 1.02 * x) for x in alignment]}


def _row(point, hessian, seed, reached):
    starts = {start: {s: _curve(reached[start, s], seed) for s in ("power", "lanczos")} for start in ("cold", "warm")}
    if point == "initial":
        del starts["warm"]
    values = {"lambda_1": 2.0, "lambda_2": 1.0 + 0.1 * seed, "lambda_min": -0.5, "sine": 1e-4, "resolved": True}
    return {"point": point, "step": 0, "hessian": hessian, **values, "curves": starts}


def _result(seeds=5, **reached):
    values = {"cold_power": 0.93, "cold_lanczos": 0.95, "warm_power": 0.95, "warm_lanczos": 0.98, **reached}
    reached = {tuple(name.split("_")): value for name, value in values.items()}
    points = ("initial", "half trained", "trained")
    runs = [
        [_row(point, h, seed, reached) for point in points for h in ("minibatch", "whole")] for seed in range(seeds)
    ]
    return {"networks": {"net": runs}, "used": 5, "every": 100, "batch_size": 64, "examples": 0, "data": "digits"}


def _words(result):
    return [claim.verdict.word for claim in PowerConvergence().claims(result)]


YES, NO, OPEN = "reproduced", "not reproduced", "not resolved here"


def test_verdicts_follow_the_numbers():
    assert _words(_result()) == [YES] * 4 + [YES, YES]
    # Wrong on purpose: the warm start is worse, and five products are too few
    assert _words(_result(warm_power=0.7, warm_lanczos=0.7)) == [NO, NO, YES, YES, OPEN, NO]
    assert _words(_result(cold_power=0.5)) == [YES, YES, NO, NO, YES, YES]


def test_one_seed_decides_nothing():
    assert set(_words(_result(seeds=1))) == {OPEN}
    assert "one seed: no interval" in PowerConvergence().claims(_result(seeds=1))[0].measured


def test_a_refused_eigenvector_is_no_number():
    result = _result()
    for run in result["networks"]["net"]:
        row = run[4]
        row["resolved"] = False
        for solvers in row["curves"].values():
            for curve in solvers.values():
                curve["alignment"] = [None] * (PRODUCTS + 1)
    claims = PowerConvergence().claims(result)
    assert [each.verdict.word for each in claims] == [YES, OPEN, YES, YES, OPEN, OPEN]
    assert "of 30 Hessians 5 failed that" in PowerConvergence().notes(result)[1]
    assert PowerConvergence().plot(result)


def test_an_edited_number_shows():
    item, result = PowerConvergence(), _result()
    edited = copy.deepcopy(result)
    for run in edited["networks"]["net"]:
        run[4]["curves"]["warm"]["power"]["ratio"][5] = 0.25
    assert "v'Hv/lambda_1 = 0.25 ± 0.00" in item.caption(edited)
    assert item.claims(edited)[0].measured.startswith("v'Hv/lambda_1 = 0.250")
    (row,) = [
        each
        for each in item.tables(edited)[0].rows
        if each[:3] == ["trained", "a minibatch's", "power method, warm start"]
    ]
    assert row[4] == "0.250 ± 0.000"


def test_guideline():
    note = PowerConvergence().notes(_result())[0]
    assert "the power method p = 5 for v'Hv and p = 5 for the direction, with Lanczos p = 4 for v'Hv and p = 4" in note
    assert "power method p > 8" in PowerConvergence().notes(_result(cold_power=0.2))[0]
    (table,) = PowerConvergence().tables(_result())
    assert len(table.rows) == 20
    assert table.rows[0][-1].startswith("0.60 ± ")


def test_picture():
    figure = PowerConvergence().plot(_result())
    assert len(figure.axes) == 4
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert float(lines["power method, warm start"].get_ydata()[4]) == pytest.approx(0.95 - 0.004)
    with stacked_panels():
        assert PowerConvergence().plot(_result()).get_figheight() > figure.get_figheight()


METHOD = EigenSAMSettings(solver="power", guard=0.0, refresh_every=2)
SETTINGS = TrainSettings(optimizer=METHOD, model="linear", epochs=1, batch_size=300)  # 4 steps
TINY = PowerConvergence(FollowedTrainings(SETTINGS, ("linear",), seeds=(0, 1), examples=100), products=6)


def test_at_a_tiny_size(tmp_path, monkeypatch):
    resources, steps = Resources(tmp_path), []
    TINY.prepare(resources)
    assert [(run.steps, run.done, run.measurements) for run in TINY.planned(resources)] == [(4, False, 6)] * 2
    result = through_json(TINY.measure(resources, lambda done, total: steps.append((done, total))))
    assert steps == [(1, 2), (2, 2)]
    assert all(run.done for run in TINY.planned(resources))
    for each in (TINY.claims(result), TINY.caption(result), TINY.tables(result), TINY.notes(result), TINY.plot(result)):
        assert each
    assert "nan" not in TINY.caption(result)
    assert TINY.made_with(resources)["dtype"] == "float32"
    assert TINY.key(resources) != replace(TINY, products=7).key(resources)
    assert TINY.size()["optimizer"].startswith("eigen-sam, rho 0.1")

    # A sweep that goes on: of three seeds two are there
    more = TINY.with_seeds(3)
    assert [run.done for run in more.planned(resources)] == [True, True, False]
    original, made = power_convergence.convergence_along, []

    def counted(settings, *rest):
        made.append(settings.seed)
        return original(settings, *rest)

    counted.__module__ = original.__module__
    monkeypatch.setattr(power_convergence, "convergence_along", counted)
    again = through_json(more.measure(resources, lambda done, total: None))
    assert made == [2]
    assert again["networks"]["linear"][:2] == result["networks"]["linear"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"settings": TrainSettings("sam")}, "optimizer sam, 1 networks, 2 seeds: what is followed are estimates of"),
        ({"examples": 5000}, "examples = 5000, and 1437 are trained on; ask for fewer"),
        ({"settings": replace(SETTINGS, data="cifar10")}, "--data-root"),
    ],
)
def test_refusals(tmp_path, wrong, message):
    with pytest.raises(InputError, match=message):
        replace(TINY, trainings=replace(TINY.trainings, **wrong)).prepare(Resources(tmp_path))


def test_too_few_products_are_refused(tmp_path):
    with pytest.raises(InputError, match="products = 4, and Eigen-SAM makes 5 itself; give at least as many"):
        replace(TINY, products=4).prepare(Resources(tmp_path))


def test_a_run_that_fails_is_named(tmp_path):
    settings = replace(SETTINGS, lr=1e30)
    item = replace(TINY, trainings=replace(TINY.trainings, settings=settings))
    with pytest.raises(InputError, match="Eigen-SAM, linear, seed 0: "):
        item.run(tmp_path)


def test_the_threshold_is_said_to_be_ours():
    assert convergence_words.ENOUGH == 0.9
    assert "we call it enough above 0.9" in PowerConvergence().claims(_result())[0].paper
    assert PowerConvergence.in_the_paper
