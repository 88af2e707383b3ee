"""Monte Carlo around a point and the bound that it gives, against closed forms and other arithmetic."""

import math
import random
from dataclasses import replace

import mpmath
import pytest
import torch
from scipy.optimize import brentq

from eigensam.bounds import GibbsEstimate, PriorGrid, loss_around, monte_carlo_bound
from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape


def quartic(dim):
    """f(w) = sum a_i w_i^2/2 + b_i w_i^3/6 + c_i w_i^4/24, of which Gaussian means are known."""
    generator = torch.Generator().manual_seed(3)
    a, b, c = (torch.rand(dim, generator=generator, dtype=torch.float64) for _ in range(3))
    model = torch.nn.Linear(dim, 1, bias=False).double()
    torch.nn.init.zeros_(model.weight)

    def loss(outputs, targets):  # outputs: the weights, one for each "example"
        w = outputs[:, 0]
        return (a * w**2 / 2 + b * w**3 / 6 + c * w**4 / 24).sum()

    eye = torch.eye(dim, dtype=torch.float64)
    return NetworkLandscape.from_tensors(model, loss, eye, torch.zeros(dim), check=False), a, c


def test_rise_of_a_polynomial():
    f, a, c = quartic(400)
    sigmas = [0.5, 1.0]
    found = loss_around(f, f.point(), sigmas, pairs=60, generator=torch.Generator().manual_seed(0))
    for i, sigma in enumerate(sigmas):
        truth = float(sigma**2 * a.sum() / 2 + 3 * sigma**4 * c.sum() / 24)
        assert abs(found.mean[i] - truth) < 4 * found.standard_error[i]
        assert found.standard_error[i] < 0.02 * truth
        wrong = float(sigma**2 * a.sum() / 2)  # on purpose: without the fourth order
        assert abs(found.mean[i] - wrong) > 4 * found.standard_error[i]
    assert found.at(0.5) == pytest.approx(found.mean[0])
    assert found.mean[0] < found.at(0.7) < found.mean[1]


def test_one_pair_has_no_error():
    f, _, _ = quartic(3)
    found = loss_around(f, f.point(), [0.1], pairs=1, generator=torch.Generator().manual_seed(0))
    assert found.standard_error == [None]
    assert found.to_dict()["pairs"] == 1


def test_the_bound_in_fifty_digits():
    rng = random.Random(1)
    for _ in range(300):
        d, n = int(10 ** rng.uniform(0, 7)), int(10 ** rng.uniform(1, 6))
        sigma, distance, delta = 10 ** rng.uniform(-4, 0), 10 ** rng.uniform(-6, 3), 10 ** rng.uniform(-3, -0.5)
        upper = rng.choice([0.0, rng.random(), 1e-3])
        risk = GibbsEstimate("cross-entropy", upper, upper, delta / 10, n, 9, 9, 1e-8)
        found = monte_carlo_bound(risk, sigma, dim=d, squared_distance=distance, examples=n, delta=delta)
        k, grid = found.details["prior_index"], PriorGrid.for_dim(d)
        m, (j, i) = grid.refinement, divmod(k, grid.refinement)
        with mpmath.workdps(50):
            real = mpmath.mpf
            share = 1 if m == 1 else 2 if i == 0 else 2 * (m - 1)
            part = 6 * (real(delta) - real(delta / 10)) / (share * (mpmath.pi * j) ** 2)
            s2 = real(grid.scale) * mpmath.exp(-real(k) / (real(grid.density) * m))
            ratio = real(sigma) ** 2 / s2
            kl = (d * (ratio - 1 - mpmath.log(ratio)) + real(distance) / s2) / 2
            c = (kl + mpmath.log(2 * mpmath.sqrt(real(n)) / part)) / n
            total = real(upper) + mpmath.sqrt(c / 2)
            assert total <= found.bound <= total * (1 + mpmath.mpf(10) ** -12)
            c = float(c)

        def excess(p, q=upper, c=c):
            return (q * math.log(q / p) if q else 0.0) + (1 - q) * math.log((1 - q) / (1 - p)) - c

        if c < 20 and upper < 1:
            inverse = brentq(excess, max(upper, 1e-15), 1 - 1e-15, xtol=1e-14) if excess(1 - 1e-15) > 0 else 1.0
            assert found.bound_kl == pytest.approx(min(inverse, found.bound), rel=1e-7)
        assert found.kind == "certificate"
        assert found.vacuous == (found.bound >= 1)


def test_refusals():
    risk = GibbsEstimate("cross-entropy", 0.1, 0.2, 0.01, 100, 9, 9, 1e-8)
    negative = replace(risk, delta=-1.0)
    arguments = {"dim": 3, "squared_distance": 1.0, "examples": 100, "delta": 0.05}
    for changes, message in (
        ({"examples": 7}, "at least 8"),
        ({"delta": 0.01}, "spends 0.01 of delta"),
        ({"dim": 0}, "dim = 0"),
        ({"squared_distance": math.inf}, "finite distance"),
        ({"delta": 2.0}, "does not lie"),
    ):
        with pytest.raises(InputError, match=message):
            monte_carlo_bound(replace(risk, examples=changes.get("examples", 100)), 0.1, **(arguments | changes))
    with pytest.raises(InputError, match="one of 100 examples, not of n = 60000"):
        monte_carlo_bound(risk, 0.1, **arguments | {"examples": 60_000})
    with pytest.raises(InputError, match="does not lie in"):
        monte_carlo_bound(negative, 0.1, **arguments)
    with pytest.raises(InputError, match="sigma = 0 is not positive"):
        monte_carlo_bound(risk, 0, **arguments)
