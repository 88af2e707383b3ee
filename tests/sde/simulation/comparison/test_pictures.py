"""Pictures of comparisons: their numbers are those of the paths, and every process is told apart."""

import matplotlib.image
import numpy as np
import pytest

from eigensam.ground import InputError
from eigensam.ground.pictures import MANY_LINES
from eigensam.sde import Comparison, PathSeries

from .ensembles import TIMES, mean, noise


def series(name, e=0.0, paths=20, seed=0, observables=3, decay=0.0):
    shared = 0.2 * noise(np.random.default_rng(99), paths, "walk")
    own = 0.02 * noise(np.random.default_rng(seed), paths, "walk")
    values = 3.0 + mean(e) + shared + own
    return PathSeries(name, TIMES, {f"observable {k}": values * np.exp(-decay * TIMES) for k in range(observables)})


def comparison(count=2, **more):
    return Comparison(series("sam", **more), [series(f"sde {k}", 0.2 * k, seed=k + 1, **more) for k in range(count)])


def line(axes, label):
    return next(each for each in axes.lines if each.get_label() == label)


def test_means_are_drawn():
    found = comparison()
    figure = found.plot()
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in shown if axes.get_title()] == [f"observable {k}" for k in range(3)]
    for process in (found.rule, *found.others):
        drawn = line(figure.axes[0], process.name).get_xydata()
        np.testing.assert_allclose(drawn, np.column_stack([TIMES, process.values["observable 0"].mean(0)]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sam", "sde 0", "sde 1"]
    assert "90 % of the paths" in figure.get_suptitle()


def test_differences_are_drawn_where_they_are_resolved():
    found = comparison()
    strip = found.plot().axes[2]
    distance = found.distances()["sde 1"]["observable 0"]
    lines = [each for each in strip.lines if each.get_color() == MANY_LINES[1]["color"] and each.get_marker() != "None"]
    drawn = lines[0].get_ydata()
    resolved = (distance.difference_low > 0) | (distance.difference_high < 0)
    assert 0 < resolved.sum() < len(resolved)
    np.testing.assert_array_equal(np.isfinite(drawn), resolved)
    np.testing.assert_allclose(drawn[resolved], np.abs(distance.difference[resolved]))


def test_values_over_decades_have_a_logarithmic_axis():
    assert comparison().plot().axes[0].get_yscale() == "linear"
    assert comparison(decay=0.5).plot().axes[0].get_yscale() == "log"


def test_six_processes_are_told_apart_and_seven_refused():
    figure = comparison(6, observables=1).plot()
    styles = {(each.get_color(), each.get_marker()) for each in figure.axes[0].lines if each.get_label()[0] != "_"}
    assert len(styles) == 7
    with pytest.raises(InputError, match="7 processes are beside sam; a picture tells 6 apart"):
        comparison(7).plot()


def test_one_path_has_no_bands():
    figure = comparison(paths=1).plot()
    assert [len(axes.collections) for axes in figure.axes[:2]] == [0, 0]


def test_no_difference_at_all():
    rule = series("sam")
    same = PathSeries("same", TIMES, rule.values)
    assert Comparison(rule, [same]).plot().axes[2].get_yscale() == "linear"


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a"])
def test_files(tmp_path, name):
    comparison(observables=1).plot(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == (3 if name == "a" else 1)


def portrait(d=2, times=5, paths=30):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 12, times)
    walk = rng.standard_normal((paths, times, d)).cumsum(1)
    x = walk - walk[:, :1]
    flow = PathSeries("flow", TIMES, {"observable 0": (3.0 + mean(0.1))[None]})
    states = {"sam": x, "sde": x + t[:, None], "flow": x[:1]}
    others = [series("sde", 0.1, paths, 1, 1), flow]
    return Comparison(series("sam", paths=paths, observables=1), others, {}, states, t)


def bowl(points):
    return (points**2).sum(1)


def test_portrait_has_a_panel_for_each_process_on_the_same_axes(tmp_path):
    found = portrait()
    figure = found.plot_portrait(tmp_path / "a.png", bowl)
    assert [axes.get_title() for axes in figure.axes] == ["sam", "sde", "flow"]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    assert [len(axes.lines) for axes in figure.axes] == [12, 12, 1]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xydata(), found.states["sam"][0])
    (low, high), points = figure.axes[0].get_xlim(), found.states["sde"][..., 0]
    assert low < points.min()
    assert points.max() < high
    assert matplotlib.image.imread(tmp_path / "a.png").ndim == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [({"d": 3}, "two dimensions"), ({"times": 1}, "two times or more"), ({"d": 1}, "portrait takes")],
)
def test_what_cannot_be_a_portrait(change, message):
    with pytest.raises(InputError, match=message):
        portrait(**change).plot_portrait(None, bowl)


def test_portraits_take_states_and_a_loss_of_points():
    with pytest.raises(InputError, match="no states were kept"):
        comparison().plot_portrait(None, bowl)
    with pytest.raises(InputError, match="expected one number each"):
        portrait().plot_portrait(None, lambda points: points)


def test_a_flat_loss_has_no_level_lines():
    assert portrait().plot_portrait(None, lambda points: np.zeros(len(points))).axes[0].lines


def test_other_endings_are_refused_before_anything_is_drawn():
    with pytest.raises(InputError, match="choose one of"):
        comparison(7).plot("a.gif")
    with pytest.raises(InputError, match="choose one of"):
        comparison().plot_portrait("a.gif", bowl)
