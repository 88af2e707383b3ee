"""A rule beside its SDEs: what is refused, words, tables, JSON."""

import json
import re

import numpy as np
import pytest

from eigensam.ground import InputError
from eigensam.sde import Comparison, PathSeries

from .ensembles import TIMES, mean, noise

NAN = float("nan")


def series(name, e=0.0, paths=20, seed=0, observables=("train loss", "accuracy")):
    """The rule's noise is that of seed 0; each observable twice as far as the one before."""
    own = 0.02 * noise(np.random.default_rng(seed), paths, "walk")
    shared = 0.2 * noise(np.random.default_rng(99), paths, "walk")
    values = {each: 2.0 + mean(e * 2**k) + shared + own for k, each in enumerate(observables)}
    return PathSeries(name, TIMES, values)


def comparison(**more):
    others = [series("drift order 2", 0.6, seed=1), series("drift order 3", 0.1, seed=2)]
    return Comparison(series("sam"), others, {"eta": 0.1}, **more)


def with_states(d=2, n=20):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((n, 3, d))
    states = {"sam": x, "drift order 2": x + 1.0, "drift order 3": x + 0.05 * rng.standard_normal((n, 3, d))}
    return {"states": states, "state_times": np.array([0.0, 6.0, 12.0])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "no name"),
        ({"times": [0.0]}, r"shape \(1,\)"),
        ({"times": [0.1, 0.2]}, "do not increase from 0"),
        ({"times": [0.0, 0.0]}, "do not increase"),
        ({"times": [0.0, NAN]}, "do not increase"),
        ({"values": {}}, "nothing was observed"),
        ({"values": {"loss": [1.0, 2.0]}}, r"'loss' has shape \(2,\); expected \(paths, 2\)"),
        ({"values": {"loss": np.ones((0, 2))}}, "at least one path"),
        ({"values": {"loss": [[1.0, 1j]]}}, "complex"),
        ({"values": {"loss": [["a", "b"]]}}, "expected real numbers"),
        ({"values": {"loss": [[1.0, 1.0], [1.0, np.inf]]}}, "sam: 'loss' of path 1 is inf at t = 0.5"),
        ({"values": {"loss": [[1.0, 1e71]]}}, "sam: 'loss' of path 0 is 1e.71"),
        ({"values": {"loss": np.ones((2, 2)), "norm": np.ones((3, 2))}}, "numbers of paths"),
    ],
)
def test_bad_series(change, message):
    with pytest.raises(InputError, match=message):
        PathSeries(**({"name": "sam", "times": [0.0, 0.5], "values": {"loss": [[1.0, 2.0]]}} | change))


def test_what_was_checked_stays_so():
    values = np.ones((2, 2))
    kept = PathSeries("sam", [0.0, 1.0], {"loss": values})
    values[0, 0] = NAN
    assert kept.values["loss"][0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        kept.values["loss"][0, 0] = NAN


def test_integers_and_single_precision_become_double():
    kept = PathSeries("sam", [0, 1], {"loss": np.ones((1, 2), np.float32), "right": np.array([[True, False]])})
    assert {each.dtype for each in (kept.times, *kept.values.values())} == {np.dtype(np.float64)}


def changed(**change):
    rule = series("sam")
    given = {"name": "b", "times": TIMES, "values": dict(rule.values)} | change
    return rule, PathSeries(**given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "sam"}, "two processes are called 'sam'"),
        ({"times": 2 * TIMES}, "look at both at the same times"),
        ({"times": TIMES[:5], "values": {k: v[:, :5] for k, v in series("b").values.items()}}, "looked at 5 times"),
        ({"values": {"train loss": np.full((20, 13), 2.0)}}, "observe the same ones"),
        ({"values": {k: v[:7] for k, v in series("b").values.items()}}, "b has 7 paths, sam has 20"),
        (
            {"values": {k: v + 1 for k, v in series("b").values.items()}},
            "do not start together: 'train loss' of path 0",
        ),
    ],
)
def test_what_cannot_be_compared(change, message):
    rule, other = changed(**change)
    with pytest.raises(InputError, match=message):
        Comparison(rule, [other])


def test_paths_in_another_order_are_found_by_their_starts():
    starts = np.arange(5.0)[:, None] + np.zeros(3)
    times = [0.0, 1.0, 2.0]
    rule, other = PathSeries("sam", times, {"x": starts}), PathSeries("b", times, {"x": starts[::-1]})
    with pytest.raises(InputError, match=r"path 0 is 4 and 0 at t = 0"):
        Comparison(rule, [other])
    with pytest.raises(InputError, match="stands for all only where all start together"):
        Comparison(rule, [PathSeries("flow", times, {"x": starts[:1]})])


def test_settings_that_json_cannot_hold():
    with pytest.raises(InputError, match="settings are not ready for JSON"):
        Comparison(series("sam"), [series("b", 0.1)], {"eta": np.ones(2)})


def test_nothing_to_compare_with():
    with pytest.raises(InputError, match="nothing beside sam"):
        Comparison(series("sam"), [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["states"].pop("sam"), "no states of sam"),
        (lambda s: s["states"].update(other=s["states"]["sam"]), "states of other"),
        (lambda s: s.update(state_times=np.array([0.0, 2.0, 1.0])), "increasing"),
        (lambda s: s["states"].update(sam=np.ones((20, 3, 4))), "at most 3"),
        (lambda s: s["states"].update(sam=np.ones((20, 2, 2))), r"expected \(20, 3, d\)"),
        (lambda s: s["states"].update({"drift order 2": np.full((20, 3, 2), NAN)}), "drift order 2: path 0 is at"),
    ],
)
def test_bad_states(change, message):
    given = with_states()
    change(given)
    with pytest.raises(InputError, match=message):
        comparison(**given)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.contrast("drift order 3", "x"),
        lambda c: c.differences("sam", "accuracy"),
        lambda c: c.closest("x"),
        lambda c: c.words("x"),
        lambda c: c.words("drift order 2", "x"),
        lambda c: Comparison(c.rule, c.others[:1]).words(observable="x"),
        lambda c: c.words(observable="x"),
    ],
)
def test_unknown_names(call):
    with pytest.raises(InputError, match="choose one of"):
        call(comparison())


def test_words_say_which_is_closer_and_by_how_much():
    text = comparison().words()
    assert re.fullmatch(
        r"Drift order 3 is closer to sam than drift order 2 in train loss: distance (\S+) \[(\S+), (\S+)\] against "
        r"(\S+) \[(\S+), (\S+)\], at most half as far; closer in 2 of 2 observables, farther in none\.",
        text,
    )
    assert "0.59 [0.58, 0.60]" in text
    assert "closer in 2" in repr(comparison())


def test_words_of_the_farther_one():
    text = comparison().words("drift order 2", "drift order 3", "accuracy")
    assert text.startswith("Drift order 2 is farther from sam than drift order 3 in accuracy: distance 1.2 [")
    assert text.endswith("at least twice as far; closer in 0 of 2 observables, farther in 2 (train loss, accuracy).")


def test_words_of_what_is_not_resolved():
    both = [series("a", 0.001, seed=1), series("b", 0.001, seed=2)]
    found = Comparison(series("sam"), both)
    assert found.closest() is None
    assert "is not resolved (the interval of their contrast contains 0)" in found.words()
    few = Comparison(series("sam", paths=2), [series("a", 0.1, 2, 1), series("b", 0.9, 2, 2)])
    assert "is not resolved (no intervals)" in few.words("a", "b")
    assert "(no interval: it takes 3 paths)" in few.words("a", "b")
    one = Comparison(series("sam", paths=1), [series("a", 0.1, 1, 1)])
    assert one.words().endswith("(no interval: one path, whose noise is part of the distance) from sam in train loss.")


def test_words_of_one_process():
    one = Comparison(series("sam"), [series("drift order 2", 0.6, seed=1)])
    assert re.fullmatch(r"Drift order 2 is at distance 0\.59 \[0\.58, 0\.60\] from sam in train loss\.", one.words())
    near = Comparison(series("sam"), [series("drift order 2", 0.0, seed=1)])
    assert near.words().endswith("not resolved from 0.")


def test_a_flow_stands_for_all_paths():
    rule = series("sam")
    flow = PathSeries("flow", TIMES, {each: (2.0 + mean(0.5))[None] for each in rule.values})
    copied = PathSeries("copies", TIMES, {each: np.tile(v, (20, 1)) for each, v in flow.values.items()})
    found = Comparison(rule, [flow, copied]).distances()
    for each in rule.values:
        assert found["flow"][each].squared == found["copies"][each].squared
        assert found["flow"][each].high == found["copies"][each].high


def test_rounding_tells_nobody_apart():
    rule = series("sam", 0.0)
    values = {each: rule.values[each] + 0.5 * (TIMES > 0) for each in rule.values}
    for shift, closest in ((1e-14, None), (1e-9, "a")):
        later = {each: array + shift * (TIMES > 0) for each, array in values.items()}
        found = Comparison(rule, [PathSeries("a", TIMES, values), PathSeries("b", TIMES, later)])
        assert found.closest() == closest


def test_the_table_has_a_row_for_each_observable_and_process():
    columns, rows = comparison().table(0.9)
    assert columns == ["observable", "process", "distance", "90 % interval", ""]
    assert [row[:2] for row in rows] == [
        [observable, process]
        for observable in ("train loss", "accuracy")
        for process in ("drift order 2", "drift order 3")
    ]
    assert [row[-1] for row in rows] == ["", "closest", "", "closest"]
    assert rows[0][2] == "0.59"


def test_energy_distances_have_a_floor():
    found = comparison(**with_states()).energy_distances()
    assert list(found) == ["sam", "drift order 2", "drift order 3"]
    floor, far, near = found.values()
    assert [each.points for each in floor] == [10, 10, 10]
    assert min(each.low for each in far) > max(each.high for each in near)
    assert all(each.low == 0 for each in floor)
    assert comparison().energy_distances() == {}


def test_a_flow_has_one_state():
    given = with_states(1)
    flow = {each: (2.0 + mean(0.5))[None] for each in ("train loss", "accuracy")}
    given["states"] = {"sam": given["states"]["sam"], "flow": np.zeros((1, 3, 1))}
    found = Comparison(series("sam"), [PathSeries("flow", TIMES, flow)], **given).energy_distances()
    assert all(each.value > 0.1 for each in found["flow"])


def test_json_has_all_numbers():
    compared = comparison(**with_states())
    found = compared.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["kind"], found["about"], found["rule"], found["paths"]) == ("estimate", {"eta": 0.1}, "sam", 20)
    assert found["times"] == TIMES.tolist()
    assert found["band"] == "90 % of the paths"
    values = compared.rule.values["accuracy"]
    accuracy = found["processes"]["sam"]["accuracy"]
    np.testing.assert_allclose(accuracy["mean"], values.mean(0))
    np.testing.assert_allclose(accuracy["high"], np.quantile(values, 0.95, axis=0))
    distance = compared.distances()["drift order 2"]["accuracy"]
    kept = found["distances"]["drift order 2"]["accuracy"]
    assert (kept["value"], kept["low"], kept["high"]) == (distance.value, distance.low, distance.high)
    assert kept["difference_high"] == distance.difference_high.tolist()
    (first, second) = found["contrasts"]
    assert {first["closer"], second["closer"]} == {"drift order 3"}
    assert first["value"] == compared.contrast("drift order 2", "drift order 3").value
    assert first["at_most_half"]
    assert found["words"] == compared.words()
    assert len(found["energy_distances"]["drift order 3"]) == len(found["state_times"]) == 3


def test_json_of_one_path_has_no_intervals():
    found = Comparison(series("sam", paths=1), [series("a", 0.1, 1, 1)]).to_dict()
    assert found["distances"]["a"]["accuracy"]["low"] is None
    assert found["processes"]["sam"]["accuracy"]["mean_low"] is None
    assert found["band"] == "all 1 paths"


@pytest.mark.parametrize(
    ("e", "text"), [(0.0022, "2.2e-3 [2.1e-3, 2.3e-3]"), (0.1, "0.10 [0.096, 0.10]"), (3e4, "3.0e4 [2.9e4, 3.1e4]")]
)
def test_numbers_are_short_and_of_one_kind(e, text):
    size = np.array([0.96, 1.0, 1.04])
    values = np.column_stack([np.zeros(3), np.full(3, 1.0), np.full(3, 1.0)])
    rule = PathSeries("sam", [0, 1, 2], {"loss": values})
    other = PathSeries("a", [0, 1, 2], {"loss": values + e * size[:, None] * [0, 1, 1]})
    found = re.search(r"distance (.*) from", Comparison(rule, [other]).words()).group(1)
    assert ("e" in found) == ("e" in text)
    assert len(found.split("[")[0]) == len(text.split("[")[0])
