"""Whether memory is fast beside a curvature, against the eigenvalues of the step itself."""

import json
from fractions import Fraction

import numpy as np
import pytest
import sympy

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape, Quadratic, TiltedTorus
from eigensam.sde import derive, find_rule
from eigensam.sde.derivation.averaging.regime import largest_curvature, memory_regime, regime_of_file
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.schedules import cosine
from eigensam.sde.rules.statements import parse_statements


def recursion(text, **settings):
    return Recursion("mine", parse_statements(text, list(settings.get("schedules", {}))), **settings)


def heavy_ball(beta, weight=1):
    return recursion(f"m = {beta}*m + {weight}*g; x = x - eta*m")


def oscillates(beta, weight, step):
    """Whether the matrix of one step on ``step/eta * x^2/2`` has a pair of complex eigenvalues."""
    m = np.array([weight, beta])  # m+ in x (times lambda) and m
    matrix = np.array([[1 - step * m[0], -step * m[1]], m])
    return bool(np.abs(np.linalg.eigvals(matrix).imag).max() > 1e-9)


@pytest.mark.parametrize("beta", ["1/2", "9/10", "99/100"])
@pytest.mark.parametrize("weight", [Fraction(1), Fraction(1, 10)], ids=["torch", "average"])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_the_ratio_is_1_where_slow_and_fast_meet(beta, weight, factor):
    """On either side of the step size at which it is 1, by 10 percent."""
    trained = heavy_ball(beta, weight)
    step = factor / memory_regime(trained, 1, 1.0).ratio
    regime = memory_regime(trained, step, 1.0)
    assert regime.ratio == pytest.approx(factor)
    assert oscillates(float(Fraction(beta)), float(weight), step) == (factor > 1)
    assert (regime.name == "scaled friction") == (factor > 1)


def test_the_weight_of_gradients_counts():
    """Wrong on purpose: (1 - sqrt(beta))^2 alone does not fit an average of gradients, whose steps are 1/10 as long."""
    step = 1.1 * (1 - 0.9**0.5) ** 2
    assert oscillates(0.9, 1, step)
    assert not oscillates(0.9, 0.1, step)


def test_numbers_of_the_paper():
    regime = memory_regime(heavy_ball("9/10"), 0.1, 5.0)
    assert regime.ratio == pytest.approx(0.5 / (1 - 0.9**0.5) ** 2)
    assert 1 / memory_regime(heavy_ball("9/10"), 1, 1.0).ratio == pytest.approx(0.0026, abs=5e-5)
    assert (regime.name, regime.formula) == ("scaled friction", "eta*lambda_1/(1 - sqrt(beta))^2")
    assert "well below 0.002633" in regime.sentence
    assert str(regime).startswith("eta*lambda_1/(1 - sqrt(beta))^2 = 189.868: not below 1")
    assert json.loads(json.dumps(regime.to_dict())) == regime.to_dict()


def test_what_to_write_instead_is_the_same_recursion():
    """One step of it from the same point, with its own learning rate and kappa."""
    beta, eta, x, m, slope = 0.9, 0.1, 0.7, 0.3, 2.0
    sentence = memory_regime(heavy_ball("9/10"), eta, 5.0).sentence
    assert "m = m + kappa*eta*(-1*g - m); x = x + eta*m with kappa = 0.1 and a learning rate of 1;" in sentence
    kappa, rate = 0.1, 1.0
    scaled = -eta / rate * m
    scaled = scaled + kappa * rate * (-slope - scaled)
    assert x + rate * scaled == pytest.approx(x - eta * (beta * m + slope))


@pytest.mark.parametrize(
    ("ratio", "name"),
    [(0.05, "fixed memory"), (0.5, "border"), (2.0, "scaled friction")],
    ids=["far", "near", "beyond"],
)
def test_three_regimes(ratio, name):
    step = ratio / memory_regime(heavy_ball("9/10"), 1, 1.0).ratio
    found = memory_regime(heavy_ball("9/10"), step, -1.0)  # a negative curvature counts as a positive one
    assert found.name == name
    assert ("the SDE applies" in found.sentence) == (name == "fixed memory")
    assert ("kappa" in found.sentence) == (name != "fixed memory")


def test_without_fast_memory():
    assert memory_regime(derive(find_rule("sam"), 1, "1/2"), 0.1, 5.0).name == "no memory"
    assert memory_regime(recursion("x = x - eta*g"), 0.1, 5.0).ratio == pytest.approx(0.5)
    slow = memory_regime(recursion("m = m + 2*eta*(-1*g - m); x = x + eta*m"), "1/10", 5.0)
    assert slow.name == "scaled friction"
    assert "m moves by multiples of eta and is a block of the SDE" in slow.sentence


def test_what_is_taken_for_granted_is_said():
    several = memory_regime(recursion("q = -1/2*q + g; m = 9/10*m + q; x = x - eta*m"), 0.1, 1.0)
    assert several.factor == pytest.approx(0.9)
    assert any("of several fast blocks (q, m)" in each for each in several.assumes)
    assert any("negative factor" in each for each in several.assumes)
    scheduled = recursion("m = 9/10*m + s*g; x = x - eta*m", schedules={"s": cosine(2)})
    assert any("the schedule s is 1" in each for each in memory_regime(scheduled, 0.1, 1.0).assumes)


def test_a_cycle_counts_as_its_steps():
    """Two steps of heavy ball written out are heavy ball."""
    text = "m = 9/10*m + grad(draw='1'); x = x - eta*m; m = 9/10*m + grad(draw='2'); x = x - eta*m"
    twice = memory_regime(recursion(text, inner_steps=2), 0.1, 5.0)
    assert twice.ratio == pytest.approx(memory_regime(heavy_ball("9/10"), 0.1, 5.0).ratio)
    assert any("to the power 1/2" in each for each in twice.assumes)


X, Y = sympy.symbols("x y")


def test_curvature_of_landscapes():
    assert largest_curvature(Quadratic([[2.0, 0.0], [0.0, -7.0]], [[1.0, 1.0]])) == (7.0, "everywhere")
    rosenbrock = FormulaLandscape([X, Y], [(1 - X) ** 2 + 100 * (Y - X**2) ** 2])
    hessian = [[802.0, -400.0], [-400.0, 200.0]]  # at (1, 1), by hand
    value, where = largest_curvature(rosenbrock)
    assert (value, where) == (pytest.approx(np.linalg.eigvalsh(hessian).max()), "at the minimum")
    assert largest_curvature(FormulaLandscape([X], [X**4 + 3 * X**2]))[0] == pytest.approx(6.0)
    assert largest_curvature(TiltedTorus.default(2))[1] == "at the origin"  # it slopes without end


def test_a_landscape_file(tmp_path):
    path = tmp_path / "f.json"
    path.write_text(json.dumps(Quadratic([[5.0]], [[0.0]]).to_dict()))
    regime = regime_of_file(heavy_ball("9/10"), "0.1", path)
    assert "= 189.868 with lambda_1 = 5 everywhere: " in str(regime)
    assert regime.summary.splitlines()[0] == "regime"
    assert max(map(len, regime.summary.splitlines())) <= 110


def test_refusals(tmp_path):
    trained = heavy_ball("9/10")
    with pytest.raises(InputError, match=r"eta = -1 is not a positive number; give the learning rate"):
        memory_regime(trained, -1, 1.0)
    with pytest.raises(InputError, match="the curvature nan is not finite"):
        memory_regime(trained, 0.1, float("nan"))
    with pytest.raises(InputError, match="is a folder; give a landscape file"):
        regime_of_file(trained, 0.1, tmp_path)
    with pytest.raises(InputError, match="a landscape of 1001 coordinates; at most 1000 are taken here"):
        largest_curvature(Quadratic.random(1001))
    with pytest.raises(InputError, match="Hessian at the origin is not finite"):
        largest_curvature(FormulaLandscape([X], [sympy.sqrt(X)]))
