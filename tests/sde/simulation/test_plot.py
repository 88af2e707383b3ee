"""Pictures and tables of an ensemble: what is drawn, and that its numbers are those of the statistics."""

import matplotlib.image
import numpy as np
import pytest
import torch

from eigensam.ground import InputError
from eigensam.sde import Engine, Observable, Record, SDEProblem, simulate

EAGER = Engine(backend="eager")


def brownian(d):
    return SDEProblem(lambda t, x: torch.zeros_like(x), lambda t, x: torch.eye(d, dtype=x.dtype), noise="additive")


def run(d=1, paths=50, **record):
    start = torch.zeros(d, dtype=torch.float64)
    return simulate(brownian(d), start, dt=0.1, steps=20, paths=paths, record=Record(**record), engine=EAGER)


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def shown(figure):
    return [axes for axes in figure.axes if axes.axison]


def test_the_mean_and_its_interval_are_drawn():
    found = run(every=1)
    (axes,) = shown(found.plot(confidence=0.9))
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([found.times, found.mean[:, 0]]))
    assert line.get_marker() == "None"
    band, interval = (each.get_paths()[0].vertices[:, 1] for each in axes.collections)
    exact = found.observed().moments.mean_intervals(0.9)
    assert set(exact.low[:, 0]) | set(exact.high[:, 0]) == set(interval)
    deviation = found.variance[-1, 0] ** 0.5
    assert max(abs(found.mean[-1, 0] + deviation - band).min(), abs(found.mean[-1, 0] - deviation - band).min()) < 1e-12


def test_quantiles_take_the_place_of_the_deviation():
    figure = run(observables=[Observable(alpha=0.01)], trajectories=3).plot()
    assert labels(figure) == ["90 % of the paths", "50 % of the paths", "3 of the paths", "mean", "its 95 % interval"]
    assert len(shown(figure)[0].lines) == 4


def test_few_looks_are_marked_and_one_path_is_drawn_alone():
    (axes,) = shown(run(every=20).plot())
    assert axes.lines[0].get_marker() == "o"
    figure = run(paths=1, trajectories=1).plot()
    assert labels(figure) == ["the path"]
    assert len(shown(figure)[0].lines) == 1
    assert figure.get_suptitle() == "1 path, euler-maruyama, step 0.1"


def test_there_are_six_panels_at_most_and_the_title_says_so():
    figure = run(7).plot()
    assert [axes.get_ylabel() for axes in shown(figure)] == [f"x[{i}]" for i in range(6)]
    assert figure.get_suptitle().endswith("the first 6 of 7 curves")
    assert len(shown(run(5).plot())) == 5


def test_observables_are_drawn_with_their_own_values_along_the_paths():
    """Wrong on purpose would be the states' values in the panel of another observable."""
    radius = Observable("radius", lambda x: x.norm(dim=1))
    found = run(2, observables=[radius, Observable()], trajectories=2)
    figure = found.plot()
    assert [axes.get_ylabel() for axes in shown(figure)] == ["radius", "x[0]", "x[1]"]
    exact = found.trajectories.norm(dim=2)
    for k in range(2):
        np.testing.assert_allclose(shown(figure)[0].lines[k].get_ydata(), exact[k], rtol=1e-15)
        np.testing.assert_array_equal(shown(figure)[2].lines[k].get_ydata(), found.trajectories[k, :, 1])
    assert [axes.get_ylabel() for axes in shown(found.plot(name="radius"))] == ["radius"]


def test_a_probability_is_drawn_without_spread():
    high = Observable("high", lambda x: x[:, 0] > 0.3)
    half = Observable("half", lambda x: 0.5 * (x[:, 0] > 0.3).to(x))  # 0 and 1/2 are no truth values
    figure = run(observables=[high, half], trajectories=2).plot()
    assert [(len(axes.lines), len(axes.collections)) for axes in shown(figure)] == [(1, 1), (3, 2)]


def test_blocks_are_drawn_and_called_by_their_names():
    problem = SDEProblem(
        lambda t, s: {"q": s["p"], "p": -s["q"]}, lambda t, s: {"p": torch.eye(2, dtype=s["p"].dtype)}, noise="additive"
    )
    start = {"q": torch.ones(2), "p": torch.zeros(2)}
    found = simulate(problem, start, dt=0.1, steps=5, paths=20, record=Record(trajectories=3), engine=EAGER)
    axes = shown(found.plot())
    assert [each.get_ylabel() for each in axes] == ["q[0]", "q[1]", "p[0]", "p[1]"]
    np.testing.assert_allclose(axes[3].lines[2].get_ydata(), found.trajectories["p"][2, :, 1])


def test_files(tmp_path):
    found = run(paths=5)
    for ending in ("svg", "pdf", "png"):
        found.plot(tmp_path / f"a.{ending}")
        assert (tmp_path / f"a.{ending}").stat().st_size > 1000
    found.plot(tmp_path / "b")
    assert {path.name for path in tmp_path.glob("b*")} == {"b.svg", "b.pdf", "b.png"}
    assert matplotlib.image.imread(tmp_path / "b.png").shape[1] > 500
    with pytest.raises(InputError, match=r"ends in '.gif'; choose one of: .svg, .pdf, .png, or no ending"):
        found.plot(tmp_path / "a.gif")
    with pytest.raises(InputError, match="'y' was not observed; choose one of: x"):
        found.plot(name="y")


def test_it_prints_as_a_table():
    high = Observable("high", lambda x: x[:, 0] > 0.3)
    found = run(2, paths=400, observables=[Observable(alpha=0.01), high])
    lines = repr(found).splitlines()
    assert lines[:2] == [
        "Simulation of 400 paths, 20 steps of 0.1 by euler-maruyama, seed 0; eager: as asked",
        "estimates at t = 2",
    ]
    assert lines[2].split("  ")[-1].strip() == "95 %"
    columns, rows = found.table(0.9)
    assert columns == ["", "mean", "90 % interval", "standard deviation", "5 %", "50 %", "95 %"]
    assert [row[0] for row in rows] == ["x[0]", "x[1]", "high"]
    assert float(rows[1][1]) == pytest.approx(found.mean[-1, 1], rel=1e-4)
    assert float(rows[1][3]) == pytest.approx(found.variance[-1, 1] ** 0.5, rel=1e-3)
    assert rows[2][4:] == ["", "", ""]
    alone = repr(run(12, paths=1))
    assert "interval" not in alone
    assert alone.splitlines()[-1] == "  and 2 more rows"
