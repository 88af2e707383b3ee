"""What ``eigensam simulate`` runs, from Python: landscapes, starts, types, directions."""

import json
from fractions import Fraction

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import TiltedTorus, Valley
from eigensam.sde import (
    Engine,
    SDEProblem,
    derive,
    derived_problem,
    drift_and_covariance,
    find_rule,
    simulate,
    truncate,
)
from eigensam.sde.simulation.command_settings import SimulateSettings
from eigensam.sde.simulation.derived_ensemble import read_start, simulate_derived
from eigensam.sde.simulation.simulated_landscape import named_landscape

TORUS = TiltedTorus.default(2)


def test_landscapes_and_what_they_were_made_of(tmp_path):
    found = named_landscape(None, 3)
    assert (found.landscape.dim, found.described["kind"]) == (3, "torus")
    path = tmp_path / "f.json"
    path.write_text(json.dumps(found.described))
    again = named_landscape(str(path), 1)
    assert again.described == found.described
    assert torch.equal(again.landscape.tilts, found.landscape.tilts)
    assert named_landscape("valley", 5).described["flat"] == 1.0
    with pytest.raises(InputError, match="none of the names torus, valley; give one of them"):
        named_landscape("valey", 2)


def test_starts():
    assert read_start("1/4,-2", TORUS).tolist() == [0.25, -2.0]
    assert read_start("3", TORUS.to(torch.float32)).dtype == torch.float32
    with pytest.raises(InputError, match="--start 1,2,3 has 3 coordinates; give 2, or one number for all"):
        read_start("1,2,3", TORUS)


@pytest.mark.parametrize("root", ["minibatches", "coordinates"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_rule_with_a_direction_has_the_drift_and_covariance_of_its_sde(dtype, root):
    """The second truth is :func:`drift_and_covariance`, which binds values at each call."""
    f, sde = TORUS.to(dtype), derive(find_rule("eigen-sam"), 1, Fraction(1, 2))
    values = {"alpha": 0.3, "v": torch.tensor([0.6, 0.8], dtype=dtype)}
    problem = derived_problem(f, sde, rho=0.2, eta=0.1, values=values, root=root)
    x = torch.tensor([0.4, -1.0], dtype=dtype)
    drift, covariance = drift_and_covariance(f, sde, x, rho=0.2, eta=0.1, values=values)
    g = problem.diffusion(torch.zeros((), dtype=dtype), x)
    torch.testing.assert_close(problem.drift(torch.zeros((), dtype=dtype), x), drift)
    torch.testing.assert_close(g @ g.T, 0.1 * covariance)
    found = simulate(problem, x, dt=0.1, steps=2, paths=4, engine=Engine(backend="eager"))
    assert found.final.dtype == dtype


def test_a_start_of_another_type_is_refused():
    problem = derived_problem(TORUS, derive(find_rule("sam"), 1, Fraction(1, 2)), rho=0.1, eta=0.1)
    with pytest.raises(InputError, match=r"the start has torch\.float32 on cpu, the landscape torch\.float64"):
        simulate(problem, torch.zeros(2), dt=0.1, steps=2, paths=4)


def test_settings_reach_the_run():
    sde = derive(find_rule("sgd"), 1, Fraction(1))
    settings = SimulateSettings(
        eta=0.1, dt=0.05, horizon=0.5, paths=7, trajectories=2, every=5, seed=4, backend="eager"
    )
    found = simulate_derived(TORUS, sde, settings)
    assert (found.dt, found.steps, found.paths, found.seed, found.scheme) == (0.05, 10, 7, 4, "splitting")
    assert found.trajectories.shape == (2, 3, 2)
    assert found.final is None
    assert found.observed().quantiles.alpha == 0.01
    longer = simulate_derived(TORUS, sde, SimulateSettings(steps=3, paths=7, backend="eager"))
    assert longer.times[-1] == pytest.approx(0.3)


def test_a_drift_that_changes_its_argument_is_refused_and_the_start_stays():
    def drift(t, x):
        x[0] = 1.0
        return -x

    start = torch.full((2,), 3.0)
    with pytest.raises(InputError, match="the drift changes the point that it is given; compute with a copy"):
        simulate(SDEProblem(drift, None), start, dt=0.1, steps=2, paths=4)
    assert start.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("rule", "drift_order", "end"), [("sgd", 1, 1.45), ("sam", 2, 0.46), ("sam", 3, 0.003)], ids=lambda v: str(v)
)
def test_how_far_the_drifts_go_along_a_valley(rule, drift_order, end):
    """The README's numbers."""
    sde = truncate(find_rule(rule), Fraction(1, 3), drift_order)
    problem = derived_problem(Valley(), sde, rho=0.3, eta=0.1)
    start = torch.tensor([1.5, 0.1], dtype=torch.float64)
    found = simulate(problem, start, dt=0.1, steps=400, paths=1000, engine=Engine(backend="eager"))
    assert float(f"{found.mean[-1, 0]:.{3 if end < 0.1 else 2}f}") == end
